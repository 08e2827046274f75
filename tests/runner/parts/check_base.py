"""The config that the cases of test_check_agrees.py change: it trains for one iteration."""

custom_imports = {"imports": ["check_task"]}
model = {"type": "Slope"}
train_dataloader = {
    "dataset": {"type": "Hills"},
    "sampler": {"type": "DefaultSampler", "shuffle": True},
    "collate_fn": {"type": "default_collate"},
    "batch_size": 4,
}
optim_wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}}
train_cfg = {"by_epoch": False, "max_iters": 1}
default_hooks = {"logger": None}  # without scalars no curves are drawn
