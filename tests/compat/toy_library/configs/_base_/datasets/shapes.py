# dataset settings
dataset_type = "ShapesDataset"
data_root = "data/shapes/"
backend_args = None

train_pipeline = [
    dict(type="LoadToyImage", to_float32=False, backend_args=backend_args),
    dict(type="ToyRandomFlip", prob=0.5),
    dict(type="PackToyInputs"),
]
test_pipeline = [
    dict(type="LoadToyImage", backend_args=backend_args),
    dict(type="PackToyInputs", meta_keys=("sample_idx", "img_path", "ori_shape")),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file="train.txt",
        data_prefix=dict(img_path="train/"),
        pipeline=train_pipeline,
        backend_args=backend_args,
    ),
    sampler=dict(type="BalancedSampler", shuffle=True),
)
val_dataloader = dict(
    batch_size=5,
    num_workers=0,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file="val.txt",
        data_prefix=dict(img_path="val/"),
        test_mode=True,
        pipeline=test_pipeline,
    ),
    sampler=dict(type="DefaultSampler", shuffle=False),
)
test_dataloader = val_dataloader

val_evaluator = dict(type="ToyAccuracy", classwise=True, collect_device="cpu")
test_evaluator = val_evaluator

# test time augmentation
tta_model = dict(type="AverageScoreTTA")
tta_pipeline = [
    dict(type="LoadToyImage", backend_args=backend_args),
    dict(
        type="ToyTestTimeAug",
        transforms=[
            [dict(type="ToyRandomFlip", prob=0.0), dict(type="ToyRandomFlip", prob=1.0)],
            [dict(type="PackToyInputs")],
        ],
    ),
]
