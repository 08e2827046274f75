"""Train with a runner made of objects (manual, 1143), on fewer points and epochs."""

from awesome import Accuracy, MyAwesomeModel, MyDataset
from torch.optim import Adam
from torch.utils.data import DataLoader, default_collate

from engine_runner import Runner

runner = Runner(
    model=MyAwesomeModel(layers=2, activation="relu"),
    work_dir="exp/my_awesome_model",
    train_dataloader=DataLoader(
        dataset=MyDataset(is_train=True, size=3000),
        shuffle=True,
        collate_fn=default_collate,
        batch_size=64,
        pin_memory=False,
        num_workers=0,
    ),
    train_cfg={"by_epoch": True, "max_epochs": 4, "val_begin": 2, "val_interval": 1},
    optim_wrapper={"optimizer": {"type": Adam, "lr": 0.001}},
    param_scheduler={"type": "MultiStepLR", "by_epoch": True, "milestones": [2, 3], "gamma": 0.1},
    val_dataloader=DataLoader(
        dataset=MyDataset(is_train=False, size=200),
        shuffle=False,
        collate_fn=default_collate,
        batch_size=1000,
        pin_memory=False,
        num_workers=0,
    ),
    val_cfg={},
    val_evaluator={"type": Accuracy},
    default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 1}},
    launcher="none",
    env_cfg={
        "cudnn_benchmark": False,
        "backend": "nccl",
        "mp_cfg": {"mp_start_method": "fork"},
    },
    log_level="INFO",
    load_from=None,
    resume=False,
)
runner.train()
