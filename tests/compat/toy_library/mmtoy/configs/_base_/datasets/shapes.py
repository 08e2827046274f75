from mmengine.dataset import DefaultSampler
from mmtoy.datasets import BalancedSampler, ShapesDataset
from mmtoy.datasets.transforms import LoadToyImage, PackToyInputs, ToyRandomFlip, ToyTestTimeAug
from mmtoy.evaluation import ToyAccuracy
from mmtoy.models import AverageScoreTTA

# dataset settings
dataset_type = ShapesDataset
data_root = "data/shapes/"

train_pipeline = [
    dict(type=LoadToyImage, to_float32=False),
    dict(type=ToyRandomFlip, prob=0.5),
    dict(type=PackToyInputs),
]
test_pipeline = [
    dict(type=LoadToyImage),
    dict(type=PackToyInputs, meta_keys=("sample_idx", "img_path", "ori_shape")),
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
    ),
    sampler=dict(type=BalancedSampler, shuffle=True),
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
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = val_dataloader

val_evaluator = dict(type=ToyAccuracy, classwise=True, collect_device="cpu")
test_evaluator = val_evaluator

# test time augmentation
tta_model = dict(type=AverageScoreTTA)
tta_pipeline = [
    dict(type=LoadToyImage),
    dict(
        type=ToyTestTimeAug,
        transforms=[
            [dict(type=ToyRandomFlip, prob=0.0), dict(type=ToyRandomFlip, prob=1.0)],
            [dict(type=PackToyInputs)],
        ],
    ),
]
