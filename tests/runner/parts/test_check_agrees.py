"""`engine check` and `engine train` accept the same configs; see the fixture ``run_case``."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RunCase = Callable[[str, str], tuple[int, str]]

EVALUATION = """\
val_dataloader = dict(
    dataset=dict(type="Hills"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    batch_size=4,
)
val_cfg = dict()
val_evaluator = dict(type="Distance")
"""

RIGHT = {
    "the base": "",
    "keys of the user's own": 'data_root = "data"; num_classes = 3; img_norm_cfg = dict(mean=[1])',
    "a second data loader": "val_dataloader2 = dict(batch_size=4); train_cfg_stage2 = dict(a=1)",
    "epochs": "train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=1, val_begin=1)",
    "a loop by its type": 'train_cfg = dict(_delete_=True, type="GentleLoop", max_epochs=1)',
    "intervals that change": "train_cfg = dict(val_interval=5, dynamic_intervals=[(8, 2)])",
    "validation": EVALUATION,
    "validation in half precision": EVALUATION.replace("dict()", "dict(fp16=True)"),
    "a list of metrics": EVALUATION + 'val_evaluator = [dict(type="Distance", prefix="a")]',
    "an evaluator with metrics": EVALUATION
    + 'val_evaluator = dict(metrics=[dict(type="Distance", scale=2)])',
    "test settings": EVALUATION.replace("val_", "test_"),
    "seed": "randomness = dict(seed=3, deterministic=False, diff_rank_seed=True)",
    "seed drawn": "randomness = dict(seed=None)",
    "environment": "env_cfg = dict(cudnn_benchmark=False, resource_limit=1024)",
    "workers of the environment": 'env_cfg = dict(mp_cfg=dict(mp_start_method="fork"))',
    "environment of ranks": 'env_cfg = dict(dist_cfg=dict(backend="gloo", timeout=60))',
    "log processor without type": "log_processor = dict(window_size=20, by_epoch=False)",
    "log processor": 'log_processor = dict(type="LogProcessor", num_digits=2)',
    "scaling": "auto_scale_lr = dict(enable=True, base_batch_size=4)",
    "scaling off": "auto_scale_lr = dict(enable=False)",
    "strategy by name": 'strategy = "SingleDeviceStrategy"',
    "strategy": 'strategy = dict(type="SingleDeviceStrategy")',
    "wrapper for ranks": "model_wrapper_cfg = dict(find_unused_parameters=True)",
    "compile off": "compile = False",
    "compile options": 'compile = dict(backend="eager")',
    "custom hook": 'custom_hooks = [dict(type="Bell", every=2, priority="LOW")]',
    "one custom hook": 'custom_hooks = dict(type="Bell")',
    "default hook dropped": "default_hooks = dict(timer=None, save_on_interrupt=None)",
    "default hook added": 'default_hooks = dict(bell=dict(type="Bell"))',
    "checkpoint hook": """default_hooks = dict(
        checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=1, meta=dict(a=1)))""",
    "checkpoint hook of the user": """default_hooks = dict(
        checkpoint=dict(type="Saver", note="a", by_epoch=False, interval=1))""",
    "keys that contain dots": """optim_wrapper = dict(
        paramwise_cfg=dict(custom_keys={"linear.weight": dict(lr_mult=0.1)}))""",
    "schedule": 'param_scheduler = dict(type="LinearLR", start_factor=0.5, by_epoch=False)',
    "schedules": """param_scheduler = [
        dict(type="LinearLR", end=1, by_epoch=False),
        dict(type="MultiStepLR", milestones=[5], by_epoch=False, begin=0)]""",
    "schedule in epochs": """param_scheduler = dict(
        type="CosineAnnealingLR", T_max=2, convert_to_iter_based=True)""",
    "optimizer with groups": """optim_wrapper = dict(
        accumulative_counts=2, clip_grad=dict(max_norm=1), paramwise_cfg=dict(bias_lr_mult=2))""",
    "optimizer wrapper by type": 'optim_wrapper = dict(type="OptimWrapper")',
    "model with a train_cfg of its own": """model = dict(
        train_cfg=dict(assigner=1), norm_cfg=dict(type="BN"))""",
    "preprocessor": 'data_preprocessor = dict(type="BaseDataPreprocessor", non_blocking=True)',
    "batch sampler": """train_dataloader = dict(
        batch_sampler=dict(type="torch.utils.data.BatchSampler", drop_last=False))""",
    "worker function": """train_dataloader = dict(
        worker_init_fn=dict(type="seed_worker", salt=1), num_workers=0, drop_last=True)""",
    "transforms": """train_dataloader = dict(
        dataset=dict(size=8, pipeline=[dict(type="Shift", by=1)]))""",
    "visualizer": """visualizer = dict(
        type="Visualizer", vis_backends=[dict(type="LocalVisBackend", save_dir="vis")])""",
    "parts of a scope": """default_scope = "hills"
model = dict(type="Ridge")""",
    "level of the log": 'log_level = "WARNING"; experiment_name = "hills"; resume = True',
    "names of mmengine": """from mmengine.config import read_base
default_scope = "mmengine"
model = dict(type="mmengine.Slope", _scope_="mmengine")
train_cfg = dict(_delete_=True, type="mmengine.IterBasedTrainLoop", max_iters=1)
train_dataloader = dict(sampler=dict(type="mmengine::DefaultSampler"))
optim_wrapper = dict(type="mmengine.OptimWrapper", optimizer=dict(type="mmengine.SGD"))
custom_hooks = [dict(type="mmengine.EMAHook", ema_type="mmengine.ExponentialMovingAverage")]""",
    "backends without a folder": """visualizer = dict(
        type="Visualizer", vis_backends=[dict(type="LocalVisBackend", name="first")])""",
    "backends in a variable": """vis_backends = [dict(type="LocalVisBackend")]
visualizer = dict(type="Visualizer", vis_backends=vis_backends)""",
    "empty visualizer": "visualizer = dict()",
    "preprocessor of the model": """model = dict(
        data_preprocessor=dict(type="BaseDataPreprocessor"))""",
    "decay by parameter": """optim_wrapper = dict(
        optimizer=dict(weight_decay=0.1), paramwise_cfg=dict(bias_decay_mult=0))""",
    "constructor": 'optim_wrapper = dict(constructor="DefaultOptimWrapperConstructor")',
    "runner by name": 'runner_type = "Runner"',
    "many schedules": """param_scheduler = [
        dict(type="LinearLR", start_factor=0.001, by_epoch=False, end=500),
        dict(type="OneCycleLR", eta_max=1, total_steps=9),
        dict(type="CosineRestartLR", periods=[1, 2], restart_weights=[1, 0.5], eta_min=0),
        dict(type="ExponentialParamScheduler", param_name="weight_decay", gamma=0.5)]""",
}


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT)
def test_right_config_passes_and_trains(
    run_case: RunCase, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "mmengine" in change:  # without engine-compat, too
        monkeypatch.setitem(sys.modules, "mmengine", None)
    code, printed = run_case("check", change)
    assert (code, printed) == (0, "case.py: no problems found\n")
    assert sys.modules["check_task"].built == []

    code, printed = run_case("train", change)

    assert code == 0, printed
    assert len(list(Path("work_dirs/case").glob("*.pth"))) == 1
