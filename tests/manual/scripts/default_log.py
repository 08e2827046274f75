"""Train with the default format of the log (manual, 5427)."""

from toy import ToyModel, toy_dataloader

from engine_runner import Runner

runner = Runner(
    model=ToyModel(),
    work_dir="tmp_dir",
    train_dataloader=toy_dataloader(),
    train_cfg={"by_epoch": True, "max_epochs": 1},
    optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}},
)
runner.train()
