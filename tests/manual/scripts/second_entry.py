"""Log a loss and its mean over all iterations (manual, 5536)."""

from toy import ToyModel, toy_dataloader

from engine_runner import Runner

runner = Runner(
    model=ToyModel(),
    work_dir="tmp_dir",
    train_dataloader=toy_dataloader(),
    train_cfg={"by_epoch": True, "max_epochs": 1},
    optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}},
    log_processor={
        "custom_cfg": [
            {
                "data_src": "loss1",
                "log_name": "loss1_global",
                "method_name": "mean",
                "window_size": "global",
            }
        ]
    },
)
runner.train()
