"""The config that the cases of test_check_agrees.py change: it trains for one iteration."""

custom_imports = dict(imports=["check_task"])
model = dict(type="Slope")
train_dataloader = dict(
    dataset=dict(type="Hills"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    batch_size=4,
)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
train_cfg = dict(by_epoch=False, max_iters=1)
default_hooks = dict(logger=None)  # without scalars no curves are drawn
