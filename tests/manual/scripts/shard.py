"""Train a sharded model (manual, 647); the launcher makes the processes."""

from toy import ToyModel, toy_dataloader

from engine_runner import Runner

runner = Runner(
    model=ToyModel(),
    work_dir="tmp_dir",
    train_dataloader=toy_dataloader(),
    train_cfg={"by_epoch": True, "max_epochs": 1},
    optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}},
    launcher="pytorch",
    cfg={
        "model_wrapper_cfg": {"type": "MMFullyShardedDataParallel", "cpu_offload": True},
        "env_cfg": {"dist_cfg": {"backend": "gloo"}},
    },
    env_cfg={"dist_cfg": {"backend": "gloo"}},
)
runner.train()
print("wrapper", type(runner.model).__name__, "iterations", runner.iter)
