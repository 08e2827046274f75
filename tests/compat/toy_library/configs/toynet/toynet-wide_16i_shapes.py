_base_ = [
    "../_base_/models/toynet.py",
    "../_base_/datasets/shapes.py",
    "../_base_/schedules/schedule_4e.py",
    "../_base_/default_runtime.py",
]

# model settings
channels = (8, 16)
model = dict(
    backbone=dict(channels=channels),
    head=dict(
        in_channels=channels[-1], loss=dict(_delete_=True, type="ToyCELoss", label_smooth=0.1)
    ),
)

# data settings: the smallest class is left out, and the rest is repeated
train_dataloader = dict(
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        _delete_=True,
        type="RepeatDataset",
        times=2,
        dataset=dict(
            type={{_base_.dataset_type}},
            data_root={{_base_.data_root}},
            ann_file="train.txt",
            data_prefix=dict(img_path="train/"),
            filter_cfg=dict(exclude_classes=("diagonal",)),
            pipeline={{_base_.train_pipeline}},
        ),
    ),
    sampler=dict(type="InfiniteSampler", shuffle=True),
)

# training schedule for 16 iterations
train_cfg = dict(
    _delete_=True, type="AccumulatedIterLoop", max_iters=16, val_interval=8, num_batches=2
)
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=0.01, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys={"backbone": dict(lr_mult=0.5)}),
    accumulative_counts=2,
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=4),
    dict(type="CosineAnnealingLR", T_max=12, by_epoch=False, begin=4, end=16),
]
log_processor = dict(by_epoch=False)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=8, max_keep_ckpts=1))
custom_hooks = _base_.custom_hooks + [dict(type="EMAHook", momentum=0.1)]
