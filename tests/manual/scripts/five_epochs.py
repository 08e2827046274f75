"""Train the migrated toy model for five epochs (manual, 8842)."""

from toy import ToyModel, toy_dataloader

from engine_runner import Runner

runner = Runner(
    model=ToyModel(),
    work_dir="tmp_dir",
    train_dataloader=toy_dataloader(),
    train_cfg={"by_epoch": True, "max_epochs": 5},
    optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}},
)
runner.train()
