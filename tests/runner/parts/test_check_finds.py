"""`engine check` finds what stops `engine train`; see the fixture ``run_case``."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

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


class Wrong(NamedTuple):
    """A change that is a mistake: the key path that is reported, and words of the message."""

    change: str
    path: str
    words: str


WRONG = {
    "two averages": Wrong(
        'custom_hooks = [dict(type="EMAHook"), dict(type="SWAHook")]',
        "custom_hooks.1",
        "at most one hook must average the weights, got custom_hooks.0, too",
    ),
    "argument of an average": Wrong(
        'custom_hooks = [dict(type="EMAHook", momentum=2)]',
        "custom_hooks.0.momentum",
        "momentum must be strictly between 0 and 1, got 2",
    ),
    "argument of another average": Wrong(
        'custom_hooks = [dict(type="EMAHook", ema_type="MomentumAnnealingEMA", gamma=0)]',
        "custom_hooks.0.gamma",
        "gamma must be positive, got 0",
    ),
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
    "action beside the type": Wrong(
        'on_bad_loss = dict(type="skip", action="warn")', "on_bad_loss.action", "must be left out"
    ),
    "mode of compile": Wrong('compile = dict(mode="fast")', "compile.mode", "reduce-overhead"),
    "mode and options of compile": Wrong(
        'compile = dict(mode="default", options={"trace.enabled": True})',
        "compile.mode",
        "must be left out beside compile.options",
    ),
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
    "keys of parameters that are a list": Wrong(
        "optim_wrapper = dict(paramwise_cfg=dict(custom_keys=[1]))",
        "optim_wrapper.paramwise_cfg",
        "custom_keys must be a dict",
    ),
    "decay of an optimizer without any": Wrong(
        "optim_wrapper = dict(paramwise_cfg=dict(bias_decay_mult=0))",
        "optim_wrapper.paramwise_cfg",
        "no weight_decay to multiply",
    ),
    "unknown constructor": Wrong(
        'optim_wrapper = dict(constructor="DefaultConstructor")',
        "optim_wrapper.constructor",
        "is not in the registry",
    ),
    "unknown runner": Wrong('runner_type = "Runer"', "runner_type", "'Runner'"),
    "preprocessor": Wrong(
        'data_preprocessor = dict(type="ImgDataPreprocessor", mean=[1, 2], std=[1, 2, 3])',
        "data_preprocessor.mean",
        "equally many values",
    ),
    "preprocessor of the model": Wrong(
        'model = dict(data_preprocessor=dict(type="ImgDataPreprocessor", mean=[], std=[]))',
        "model.data_preprocessor.mean",
        "at least one value",
    ),
    "folder of a wrong kind": Wrong("work_dir = 5", "work_dir", "must be a path, got 5"),
    "unknown synchronization": Wrong('sync_bn = "nccl"', "sync_bn", "one of torch, mmcv or None"),
    **{
        f"{name} by a name": Wrong(
            f'train_dataloader = dict({name}="default")',
            f"train_dataloader.{name}",
            "must be an object or a config",
        )
        for name in ("dataset", "sampler", "batch_sampler", "collate_fn")
    },
    "schedule by its name": Wrong(
        'param_scheduler = ["LinearLR"]', "param_scheduler.0", "must be an object or a config"
    ),
    "iterations converted to iterations": Wrong(
        'param_scheduler = dict(type="LinearLR", convert_to_iter_based=True, by_epoch=False)',
        "param_scheduler.by_epoch",
        "converts epochs",
    ),
    "key of compile": Wrong('compile = dict(bckend="eager")', "compile.bckend", "'backend'"),
    "compiler": Wrong('compile = dict(backend="aot_eagr")', "compile.backend", "mean 'aot_eager'"),
    "seed beyond 64 bits": Wrong("randomness = dict(seed=2**70)", "randomness.seed", "< 2**64"),
    "backends that are no list": Wrong(
        'visualizer = dict(type="Visualizer", vis_backends=dict(type="LocalVisBackend"))',
        "visualizer.vis_backends",
        "must be a list",
    ),
    "argument of a backend": Wrong(
        'visualizer = dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackend", dir=1)])',
        "visualizer.vis_backends.0.dir",
        "no argument 'dir'",
    ),
    "model without a type": Wrong("model = dict(_delete_=True)", "model", "must have a type"),
    "precision": Wrong(
        'optim_wrapper = dict(type="AmpOptimWrapper", dtype="float64")',
        "optim_wrapper.dtype",
        "float16, bfloat16",
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_config_is_found_before_anything_is_built(run_case: RunCase, wrong: Wrong) -> None:
    code, checked = run_case("check", wrong.change)
    assert code == 1
    [problem] = [line for line in checked.splitlines() if f": {wrong.path}: " in line]
    assert wrong.words in checked
    assert re.match(r"(\S*/)?case\.py:([2-9]|1\d): ", problem)
    assert "1 problem found" in checked

    code, printed = run_case("train", wrong.change)

    assert code == 1
    assert problem in printed
    assert "Traceback" not in printed
    assert sys.modules["check_task"].built == []
    assert not Path("work_dirs").exists()
