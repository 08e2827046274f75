# optimizer
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=0.0001),
    constructor="StageDecayConstructor",
    paramwise_cfg=dict(decay_rate=0.5, num_stages=2),
    clip_grad=dict(max_norm=5.0, norm_type=2),
)

# learning policy: warm up by iterations, then decay by epochs
param_scheduler = [
    dict(type="QuadraticWarmupLR", begin=0, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(type="MultiStepLR", begin=0, end=4, milestones=[2, 3], gamma=0.1, by_epoch=True),
]

# train, val, test setting
train_cfg = dict(type="CountedEpochLoop", max_epochs=4, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

# NOTE: `auto_scale_lr` is for automatically scaling LR. USER SHOULD NOT CHANGE ITS VALUES.
# base_batch_size = (1 GPU) x (8 samples per GPU)
auto_scale_lr = dict(enable=False, base_batch_size=8)
