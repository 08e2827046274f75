"""The parts of a run: their builders, the lazy parts, and the check of a config."""

from engine_runner.parts._check import check_config
from engine_runner.parts._collate import build_collate_fn
from engine_runner.parts._data import build_dataloader
from engine_runner.parts._evaluation import build_evaluator
from engine_runner.parts._hooks import build_hook, default_hooks
from engine_runner.parts._loops import build_loop
from engine_runner.parts._model import (
    build_for,
    build_model,
    freeze,
    model_name,
    with_preprocessor,
)
from engine_runner.parts._optimization import (
    build_optimizers,
    build_run_schedulers,
    build_schedulers,
)
from engine_runner.parts._output import build_log_processor, build_logger, build_visualizer
from engine_runner.parts._parts import LazyPart, Parts
from engine_runner.parts._scale_lr import scale_learning_rate, schedule_once

__all__ = [
    "LazyPart",
    "Parts",
    "build_collate_fn",
    "build_dataloader",
    "build_evaluator",
    "build_for",
    "build_hook",
    "build_log_processor",
    "build_logger",
    "build_loop",
    "build_model",
    "build_optimizers",
    "build_run_schedulers",
    "build_schedulers",
    "build_visualizer",
    "check_config",
    "default_hooks",
    "freeze",
    "model_name",
    "scale_learning_rate",
    "schedule_once",
    "with_preprocessor",
]
