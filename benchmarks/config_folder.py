"""Measure `Config.fromfile` over a folder of configs as libraries ship them.

The folder is written first: bases for models, datasets, schedules and the runtime, and the given
number of configs that inherit one to four of them, directly or over another config. They have 20 to
300 lines. One in ten changes ``_base_`` in place, some use ``{{…}}``, and some are lazy. All files
are read once, in order, in a fresh process. The budget is 2.5 ms per file. Compared with another
version of the packages, processes of the two alternate, and their configs must be equal.

    python benchmarks/config_folder.py [--files 3700] [--rounds 3] [--against OTHER_CHECKOUT]
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

BUDGET_MS = 2.5
KINDS = ("A", "B", "C", "D")


def write_folder(folder: Path, files: int) -> list[Path]:
    """Write the bases and the configs, and return the configs."""
    make = random.Random(0)
    names: dict[str, list[str]] = {}
    for room, count in (("models", 60), ("datasets", 45), ("schedules", 20), ("runtimes", 4)):
        names[room] = [f"{room[:-1]}_{number}" for number in range(count)]
        for number, name in enumerate(names[room]):
            path = folder / "_base_" / room / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(BASES[room](make, number))
            lazy = folder / "lazy" / f"{name}.py"
            lazy.parent.mkdir(parents=True, exist_ok=True)
            lazy.write_text(path.read_text())
    made: list[Path] = []
    for number in range(files):
        group = folder / f"method_{number // 25}"
        group.mkdir(exist_ok=True)
        path = group / f"method_{number}_8xb2_{make.choice(KINDS)}.py"
        path.write_text("".join(config_text(make, number, names, made, group)))
        made.append(path)
    return made


def config_text(
    make: random.Random, number: int, names: dict[str, list[str]], made: list[Path], group: Path
) -> Iterator[str]:
    """Yield the parts of one config."""
    picked = {room: make.choice(names[room]) for room in names}
    siblings = [path for path in made[-20:] if path.parent == group and "lazy" not in path.name]
    kind = make.random()
    if kind < 0.05:  # lazy
        yield "from engine_config import read_base\n\nwith read_base():\n"
        yield "".join(f"    from ..lazy.{name} import *\n" for name in picked.values())
        yield "from collections import OrderedDict\n\n"
        yield f"model.update(dict(data_preprocessor=dict(type=OrderedDict, size={number})))\n"
        yield f"optim_wrapper.optimizer.update(lr={number}e-5)\n"
        yield from (f"extra_{part} = dict(steps=[{part}, {number}])\n" for part in range(8))
        return
    plain = [path for path in siblings if "read_base" not in path.read_text()]
    if kind < 0.35 and plain:
        yield f"_base_ = './{make.choice(plain).name}'\n"
    else:
        rooms = list(picked.items())[: make.choice([1, 2, 4, 4, 4, 4])]
        yield "_base_ = [\n"
        yield "".join(f"    '../_base_/{room}/{name}.py',\n" for room, name in rooms)
        yield "]\n"
    yield "# the settings that differ\n"
    yield f"model = dict(\n    backbone=dict(\n        depth={number % 101},\n"
    yield "        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101')),\n"
    yield f"    neck=dict(in_channels=[{number}, 512, 1024, 2048], num_outs=5))\n"
    if kind > 0.8:  # long: pipelines and loaders of its own
        for part in range(make.randrange(2, 7)):
            yield pipeline(make, f"pipeline_{part}")
        yield loaders("pipeline_0", "pipeline_1", make)
    if 0.35 < kind < 0.45:  # changes of the bases
        yield "_base_.model.pretrained = None\n"
        yield "_base_.model.backbone.norm_cfg.update(eps=1e-3)\n"
        yield "stages = _base_.model.backbone.out_indices\n"
    if make.random() < 0.1:
        yield "name = '{{fileBasenameNoExtension}}'\nroot = '{{$DATA_ROOT:data/}}'\n"
    if make.random() < 0.05:
        yield "again = {{_base_.model}}\n"
    yield f"max_epochs = {12 + number % 24}\n"
    yield "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)\n"
    yield "param_scheduler = [\n    dict(type='LinearLR', start_factor=0.001, by_epoch=False, "
    yield "begin=0, end=500),\n    dict(\n        type='MultiStepLR',\n        begin=0,\n"
    yield "        end=max_epochs,\n        by_epoch=True,\n        milestones=[8, 11],\n"
    yield "        gamma=0.1)\n]\n"
    yield "optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))\n"


def model_base(make: random.Random, number: int) -> str:
    """Return a base with a model: two stages, and heads with losses."""
    heads = "".join(
        f"        dict(\n            type='Head{head}',\n            in_channels=256,\n"
        f"            num_classes={80 + number},\n            anchor_generator=dict(\n"
        "                type='AnchorGenerator',\n                scales=[8],\n"
        "                ratios=[0.5, 1.0, 2.0],\n                strides=[4, 8, 16, 32, 64]),\n"
        "            bbox_coder=dict(\n                type='DeltaXYWHBBoxCoder',\n"
        "                target_means=[0., 0., 0., 0.],\n"
        "                target_stds=[0.1, 0.1, 0.2, 0.2]),\n"
        "            loss_cls=dict(\n                type='CrossEntropyLoss', "
        f"use_sigmoid=False, loss_weight=1.{head}),\n"
        "            loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0)),\n"
        for head in range(make.randrange(1, 5))
    )
    return (
        "# model settings\nnorm_cfg = dict(type='SyncBN', requires_grad=True)\n"
        "model = dict(\n    type='Detector',\n    data_preprocessor=dict(\n"
        "        type='DetDataPreprocessor',\n        mean=[123.675, 116.28, 103.53],\n"
        "        std=[58.395, 57.12, 57.375],\n        bgr_to_rgb=True,\n"
        "        pad_size_divisor=32),\n    backbone=dict(\n        type='ResNet',\n"
        f"        depth={number},\n        num_stages=4,\n        out_indices=(0, 1, 2, 3),\n"
        "        frozen_stages=1,\n        norm_cfg=norm_cfg,\n        norm_eval=True,\n"
        "        style='pytorch',\n        init_cfg=dict(type='Pretrained', "
        "checkpoint='torchvision://resnet50')),\n    neck=dict(\n        type='FPN',\n"
        "        in_channels=[256, 512, 1024, 2048],\n        out_channels=256,\n"
        f"        num_outs=5),\n    roi_head=[\n{heads}    ],\n    train_cfg=dict(\n"
        "        assigner=dict(\n            type='MaxIoUAssigner',\n            pos_iou_thr=0.7,\n"
        "            neg_iou_thr=0.3,\n            min_pos_iou=0.3,\n"
        "            ignore_iof_thr=-1),\n        sampler=dict(type='RandomSampler', num=256)),\n"
        "    test_cfg=dict(nms_pre=1000, max_per_img=1000, nms=dict(type='nms', "
        "iou_threshold=0.7)))\n"
    )


def pipeline(make: random.Random, name: str) -> str:
    """Return an assignment of a pipeline."""
    steps = "".join(
        f"    dict(type='Step{step}', prob=0.{step}, scale=({1000 + step}, 600), keep=True),\n"
        for step in range(make.randrange(4, 12))
    )
    return (
        f"{name} = [\n    dict(type='LoadImageFromFile', backend_args=None),\n{steps}"
        "    dict(\n        type='PackDetInputs',\n        meta_keys=('img_id', 'img_path', "
        "'ori_shape', 'img_shape',\n                   'scale_factor'))\n]\n"
    )


def loaders(train: str, test: str, make: random.Random) -> str:
    """Return the assignments of the data loaders and evaluators."""
    texts = [
        f"{split}_dataloader = dict(\n    batch_size={make.randrange(1, 9)},\n    num_workers=2,\n"
        "    persistent_workers=True,\n    drop_last=False,\n"
        f"    sampler=dict(type='DefaultSampler', shuffle={split == 'train'}),\n"
        "    dataset=dict(\n        type='CocoDataset',\n        data_root='data/coco/',\n"
        f"        ann_file='annotations/instances_{split}2017.json',\n"
        f"        data_prefix=dict(img='{split}2017/'),\n        test_mode=True,\n"
        f"        pipeline={steps},\n        backend_args=None))\n"
        for split, steps in (("train", train), ("val", test))
    ]
    return "".join(texts) + (
        "test_dataloader = val_dataloader\nval_evaluator = dict(\n    type='CocoMetric',\n"
        "    ann_file='data/coco/annotations/instances_val2017.json',\n    metric='bbox',\n"
        "    format_only=False)\ntest_evaluator = val_evaluator\n"
    )


def dataset_base(make: random.Random, number: int) -> str:
    """Return a base with pipelines, loaders and evaluators."""
    start = f"dataset_type = 'CocoDataset'\ndata_root = 'data/coco{number}/'\n"
    steps = pipeline(make, "train_pipeline") + pipeline(make, "test_pipeline")
    return start + steps + loaders("train_pipeline", "test_pipeline", make)


def schedule_base(make: random.Random, number: int) -> str:
    """Return a base with loops, schedulers and an optimizer."""
    return (
        f"train_cfg = dict(type='EpochBasedTrainLoop', max_epochs={number}, val_interval=1)\n"
        "val_cfg = dict(type='ValLoop')\ntest_cfg = dict(type='TestLoop')\nparam_scheduler = [\n"
        "    dict(\n        type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, "
        "end=500),\n    dict(type='MultiStepLR', begin=0, end=12, milestones=[8, 11], gamma=0.1)\n"
        "]\noptim_wrapper = dict(\n    type='OptimWrapper',\n    optimizer=dict(type='SGD', "
        f"lr=0.{make.randrange(1, 99)}, momentum=0.9, weight_decay=0.0001))\n"
        "auto_scale_lr = dict(enable=False, base_batch_size=16)\n"
    )


def runtime_base(make: random.Random, number: int) -> str:
    """Return a base with hooks and the settings of the run."""
    return (
        f"default_scope = 'lib{number}'\ndefault_hooks = dict(\n    timer=dict(type='IterTimerHook'"
        "),\n    logger=dict(type='LoggerHook', interval=50),\n"
        "    param_scheduler=dict(type='ParamSchedulerHook'),\n"
        f"    checkpoint=dict(type='CheckpointHook', interval={make.randrange(1, 5)}),\n"
        "    sampler_seed=dict(type='DistSamplerSeedHook'))\nenv_cfg = dict(\n"
        "    cudnn_benchmark=False,\n    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0)"
        ",\n    dist_cfg=dict(backend='nccl'))\nvis_backends = [dict(type='LocalVisBackend')]\n"
        "visualizer = dict(type='Visualizer', vis_backends=vis_backends, name='visualizer')\n"
        "log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)\n"
        "log_level = 'INFO'\nload_from = None\nresume = False\n"
    )


BASES = {
    "models": model_base,
    "datasets": dataset_base,
    "schedules": schedule_base,
    "runtimes": runtime_base,
}


def read_all(folder: str) -> None:
    """Read the configs of a folder, and print the time per file and a hash of their values."""
    from engine_config import Config

    paths = sorted(map(str, Path(folder).glob("method_*/*.py")))
    start, wall = time.process_time(), time.perf_counter()
    for path in paths:
        Config.fromfile(path)
    spent, waited = time.process_time() - start, time.perf_counter() - wall
    digest = hashlib.sha256()
    for config in map(Config.fromfile, paths):
        digest.update(config.pretty_text.encode())
        places = {path: [at.file, at.line] for path, at in config.origins().items()}
        digest.update(json.dumps(places).encode())
    count = len(paths)
    print(json.dumps([spent / count * 1000, waited / count * 1000, digest.hexdigest()]))


def fresh(folder: str, checkout: Path) -> tuple[float, float, str]:
    """Read the configs of a folder in a new process, with the packages of a checkout."""
    sources = map(str, checkout.glob("packages/*/src"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sources)}
    command = [sys.executable, __file__, "--read", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    spent, waited, digest = json.loads(done.stdout)
    return spent, waited, digest


def main() -> None:
    """Print the time per file, and its ratio to the other version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=3700)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="a checkout to compare with")
    parser.add_argument("--read", help="read the configs in this folder, and do nothing else")
    arguments = parser.parse_args()
    if arguments.read:
        read_all(arguments.read)
        return
    here = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        made = write_folder(Path(folder), arguments.files)
        lines = sum(path.read_text().count("\n") for path in made)
        print(f"{len(made)} configs of {lines / len(made):.0f} lines, without those of their bases")
        ours, others = [], []
        for _ in range(arguments.rounds):
            ours.append(fresh(folder, here))
            if arguments.against:
                others.append(fresh(folder, arguments.against))
    spent, waited, digest = min(ours)
    verdict = "within" if spent <= BUDGET_MS else "OVER"
    print(f"{spent:.2f} ms of processor time per file ({waited:.2f} ms); {verdict} {BUDGET_MS} ms")
    if others:
        other = min(others)
        print(f"the other version: {other[0]:.2f} ms; ratio {spent / other[0]:.2f}")
        print("the configs are equal" if other[2] == digest else "the configs DIFFER")


if __name__ == "__main__":
    main()
