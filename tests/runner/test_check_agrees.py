"""`engine check` and `engine train` agree on what a right config is.

Each case is a file with `check_base.py` as its base, and one change that starts in line 2.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from engine_runner.cli import main

HERE = Path(__file__).parent

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
}


class Wrong(NamedTuple):
    """A change that is a mistake: the key path that is reported, and words of the message."""

    change: str
    path: str
    words: str


WRONG = {
    "misspelt key": Wrong("param_schduler = []", "param_schduler", "'param_scheduler'"),
    "misspelt key beside the right one": Wrong(
        "train_cgf = dict(max_iters=1)", "train_cgf", "did you mean 'train_cfg'?"
    ),
    "misspelt evaluator": Wrong("val_evalautor = dict()", "val_evalautor", "'val_evaluator'"),
    "key of train_cfg": Wrong(
        "train_cfg = dict(val_intervall=1)", "train_cfg.val_intervall", "'val_interval'"
    ),
    "key of val_cfg": Wrong(
        EVALUATION.replace("dict()", "dict(fp61=True)"), "val_cfg.fp61", "did you mean 'fp16'?"
    ),
    "key of a data loader": Wrong(
        "train_dataloader = dict(num_worker=2)", "train_dataloader.num_worker", "'num_workers'"
    ),
    "key of randomness": Wrong("randomness = dict(sed=1)", "randomness.sed", "'seed'"),
    "key of env_cfg": Wrong("env_cfg = dict(cudnn_bench=1)", "env_cfg.cudnn_bench", "no argument"),
    "key of mp_cfg": Wrong(
        'env_cfg = dict(mp_cfg=dict(mp_start="fork"))', "env_cfg.mp_cfg.mp_start", "no argument"
    ),
    "key of log_processor": Wrong(
        "log_processor = dict(window=1)", "log_processor.window", "no argument 'window'"
    ),
    "key of auto_scale_lr": Wrong(
        "auto_scale_lr = dict(enabled=True)", "auto_scale_lr.enabled", "did you mean 'enable'?"
    ),
    "scaling without a batch size": Wrong(
        "auto_scale_lr = dict(enable=True)", "auto_scale_lr", "needs base_batch_size"
    ),
    "strategy and wrapper": Wrong(
        'strategy = "DDPStrategy"; model_wrapper_cfg = dict()', "model_wrapper_cfg", "strategy"
    ),
    "strategy and sync_bn": Wrong(
        'strategy = dict(type="DDPStrategy"); sync_bn = "torch"', "sync_bn", "its own sync_bn"
    ),
    "type and by_epoch": Wrong(
        'train_cfg = dict(type="IterBasedTrainLoop", by_epoch=False)',
        "train_cfg.by_epoch",
        "remove one of them",
    ),
    "neither type nor by_epoch": Wrong(
        "train_cfg = dict(_delete_=True, max_iters=1)", "train_cfg", "by_epoch=True or False"
    ),
    "shuffle": Wrong(
        "train_dataloader = dict(shuffle=True)", "train_dataloader.shuffle", "sampler=dict("
    ),
    "no sampler": Wrong(
        "train_dataloader = dict(sampler=None)", "train_dataloader", "needs a 'sampler'"
    ),
    "half a validation": Wrong("val_cfg = dict()", "val_cfg", "missing: val_dataloader, val_eval"),
    "schedule without an optimizer": Wrong(
        'param_scheduler = dict(type="LinearLR"); optim_wrapper = None; train_cfg = None\n'
        "train_dataloader = None",
        "param_scheduler",
        "needs optim_wrapper",
    ),
    "model of a wrong kind": Wrong('model = "Slope"', "model", "must be an object or a config"),
    "hooks of a wrong kind": Wrong(
        'default_hooks = [dict(type="Bell")]', "default_hooks", "must be Mapping"
    ),
    "hook of a wrong kind": Wrong('custom_hooks = ["Bell"]', "custom_hooks.0", "must be a Hook"),
    "seed of a wrong kind": Wrong('randomness = dict(seed="1")', "randomness.seed", "'1'"),
    "level of the log": Wrong('log_level = "LOUD"', "log_level", "log_level must be one of"),
    "launcher": Wrong('launcher = "torch"', "launcher", "none, pytorch, slurm, mpi"),
    "compile of a wrong kind": Wrong('compile = "max"', "compile", "must be bool"),
    "unknown model": Wrong('model = dict(type="Slpoe")', "model.type", "'Slope'"),
    "unknown strategy": Wrong('strategy = "DPDStrategy"', "strategy", "'DDPStrategy'"),
    "unknown strategy in a config": Wrong(
        'strategy = dict(type="DPDStrategy")', "strategy.type", "'DDPStrategy'"
    ),
    "argument of a strategy": Wrong(
        'strategy = dict(type="DDPStrategy", wrapper="A")', "strategy.wrapper", "no argument"
    ),
    "unknown hook": Wrong('custom_hooks = [dict(type="Bel")]', "custom_hooks.0.type", "'Bell'"),
    "argument of a hook": Wrong(
        'custom_hooks = [dict(type="Bell", evry=1)]', "custom_hooks.0.evry", "'every'"
    ),
    "argument of the checkpoint hook": Wrong(
        'default_hooks = dict(checkpoint=dict(type="CheckpointHook", intervall=1))',
        "default_hooks.checkpoint.intervall",
        "did you mean 'interval'?",
    ),
    "hook dropped that is not there": Wrong(
        "default_hooks = dict(checkpont=None)", "default_hooks.checkpont", "'checkpoint'"
    ),
    "unknown optimizer": Wrong(
        'optim_wrapper = dict(optimizer=dict(type="SDG"))', "optim_wrapper.optimizer.type", "SGD"
    ),
    "argument of an optimizer": Wrong(
        "optim_wrapper = dict(optimizer=dict(lrr=1))", "optim_wrapper.optimizer.lrr", "'lr'"
    ),
    "argument of a wrapper": Wrong(
        "optim_wrapper = dict(clip_gard=dict())", "optim_wrapper.clip_gard", "'clip_grad'"
    ),
    "unknown schedule": Wrong(
        'param_scheduler = [dict(type="LinarLR")]', "param_scheduler.0.type", "'LinearLR'"
    ),
    "argument of a schedule": Wrong(
        'param_scheduler = dict(type="LinearLR", factor=1)', "param_scheduler.factor", "LinearLR"
    ),
    "unknown sampler": Wrong(
        'train_dataloader = dict(sampler=dict(type="DefaltSampler"))',
        "train_dataloader.sampler.type",
        "'DefaultSampler'",
    ),
    "argument of a sampler": Wrong(
        "train_dataloader = dict(sampler=dict(shufle=True))",
        "train_dataloader.sampler.shufle",
        "'shuffle'",
    ),
    "argument of a dataset": Wrong(
        "train_dataloader = dict(dataset=dict(sise=4))", "train_dataloader.dataset.sise", "'size'"
    ),
    "argument of a transform": Wrong(
        'train_dataloader = dict(dataset=dict(pipeline=[dict(type="Shift", buy=1)]))',
        "train_dataloader.dataset.pipeline.0.buy",
        "did you mean 'by'?",
    ),
    "argument of a worker function": Wrong(
        'train_dataloader = dict(worker_init_fn=dict(type="seed_worker", sault=1))',
        "train_dataloader.worker_init_fn.sault",
        "'salt'",
    ),
    "unknown metric": Wrong(
        EVALUATION.replace("Distance", "Distence"), "val_evaluator.type", "'Distance'"
    ),
    "unknown metric of an evaluator": Wrong(
        EVALUATION + 'val_evaluator = dict(metrics=[dict(type="Distence")])',
        "val_evaluator.metrics.0.type",
        "'Distance'",
    ),
    "unknown backend of a visualizer": Wrong(
        'visualizer = dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackand")])',
        "visualizer.vis_backends.0.type",
        "'LocalVisBackend'",
    ),
    "iterations below zero": Wrong(
        "train_cfg = dict(max_iters=-1)", "train_cfg.max_iters", "must be an integer >= 0, got -1"
    ),
    "epochs below zero": Wrong(
        "train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=-1)",
        "train_cfg.max_epochs",
        "must be an integer >= 0, got -1",
    ),
    "no interval of validation": Wrong(
        "train_cfg = dict(val_interval=0)", "train_cfg.val_interval", "must be an integer >= 1"
    ),
    "milestones out of order": Wrong(
        "train_cfg = dict(dynamic_intervals=[(9, 1), (5, 2)])",
        "train_cfg.dynamic_intervals",
        "ordered by milestone",
    ),
    "interval of a checkpoint that is not an integer": Wrong(
        'default_hooks = dict(checkpoint=dict(type="CheckpointHook", interval=1.5))',
        "default_hooks.checkpoint.interval",
        "1.5",
    ),
    "interval of the log that is zero": Wrong(
        'default_hooks = dict(logger=dict(type="LoggerHook", interval=0))',
        "default_hooks.logger.interval",
        "must be an integer >= 1, got 0",
    ),
    "rule that does not exist": Wrong(
        'default_hooks = dict(checkpoint=dict(type="CheckpointHook", save_best="a", rule="max"))',
        "default_hooks.checkpoint.rule",
        "rule must be 'greater' or 'less'",
    ),
    "no batch size": Wrong(
        "train_dataloader = dict(batch_size=0)", "train_dataloader.batch_size", "batch_size"
    ),
    "last batch dropped by two": Wrong(
        "train_dataloader = dict(drop_last=True, batch_sampler=\n"
        '    dict(type="torch.utils.data.BatchSampler", drop_last=False))',
        "train_dataloader.batch_sampler",
        "mutually exclusive",
    ),
    "workers below zero": Wrong(
        "train_dataloader = dict(num_workers=-1)", "train_dataloader.num_workers", "num_workers"
    ),
    "learning rate below zero": Wrong(
        "optim_wrapper = dict(optimizer=dict(lr=-0.1))", "optim_wrapper.optimizer.lr", "-0.1"
    ),
    "no iterations to accumulate": Wrong(
        "optim_wrapper = dict(accumulative_counts=0)", "optim_wrapper.accumulative_counts", "0"
    ),
    "schedule that ends before it begins": Wrong(
        'param_scheduler = dict(type="LinearLR", by_epoch=False, begin=5)',
        "param_scheduler.begin",
        "begin < end",
    ),
    "endless epoch": Wrong(
        'train_dataloader = dict(sampler=dict(type="InfiniteSampler"))\n'
        "train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=1)",
        "train_cfg",
        "never ends",
    ),
    "priority of a hook": Wrong(
        'custom_hooks = [dict(type="Bell", priority="HIGHER")]',
        "custom_hooks.0.priority",
        "unknown priority 'HIGHER'",
    ),
    "start method of workers": Wrong(
        'env_cfg = dict(mp_cfg=dict(mp_start_method="frok"))',
        "env_cfg.mp_cfg.mp_start_method",
        "got 'frok'",
    ),
    "threads": Wrong(
        "env_cfg = dict(torch_num_threads=0)", "env_cfg.torch_num_threads", "an integer >= 1"
    ),
    "batch size to scale from": Wrong(
        "auto_scale_lr = dict(enable=True, base_batch_size=0)", "auto_scale_lr.base_batch_size", "0"
    ),
    "window of the log": Wrong(
        "log_processor = dict(window_size=-5)", "log_processor.window_size", "-5"
    ),
}

Engine = Callable[..., tuple[int, str]]


@pytest.fixture
def engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Engine:
    """Return a function that runs the command, and returns its exit code and what it printed."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "check_task", raising=False)  # its parts are registered anew

    def run(command: str, change: str) -> tuple[int, str]:
        Path("case.py").write_text(f"_base_ = {str(HERE / 'check_base.py')!r}\n{change}\n")
        monkeypatch.setattr(sys, "argv", ["engine", command, "case.py"])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = "".join(capfd.readouterr())
        return int(str(ended.value.code)), printed

    return run


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT)
def test_right_config_passes_and_trains(engine: Engine, change: str) -> None:
    code, printed = engine("check", change)
    assert (code, printed) == (0, "case.py: no problems found\n")
    assert sys.modules["check_task"].built == []

    code, printed = engine("train", change)

    assert code == 0, printed
    assert len(list(Path("work_dirs/case").glob("*.pth"))) == 1


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_config_is_found_before_anything_is_built(engine: Engine, wrong: Wrong) -> None:
    code, checked = engine("check", wrong.change)
    assert code == 1
    [problem] = [line for line in checked.splitlines() if f": {wrong.path}: " in line]
    assert wrong.words in checked
    assert re.match(r"(\S*/)?case\.py:([2-9]|1\d): ", problem)
    assert "1 problem found" in checked

    code, printed = engine("train", wrong.change)

    assert code == 1
    assert problem in printed
    assert "Traceback" not in printed
    assert sys.modules["check_task"].built == []
    assert not Path("work_dirs").exists()
