"""The root registries, one per kind of object that a config can name.

The packages that define the objects are given as strings and imported when a look-up finds nothing.
This package must not import them at the top, because they depend on it.
"""

from collections.abc import Callable
from typing import Any

from engine_registry._aliases import alias_scope
from engine_registry._build import (
    build_model_from_cfg,
    build_runner_from_cfg,
    build_scheduler_from_cfg,
)
from engine_registry._registry import Registry

# Configs and code of the field name the root scope so. Here, because a config may be read without
# any other package that has this name.
alias_scope("mmengine", "engine")


def _root(name: str, *locations: str, build_func: Callable[..., Any] | None = None) -> Registry:
    return Registry(name, build_func, scope="engine", locations=list(locations))


RUNNERS = _root(
    "runner",
    "engine_runner.runner",
    "engine_runner.flexible_runner",
    build_func=build_runner_from_cfg,
)
RUNNER_CONSTRUCTORS = _root("runner_constructor", "engine_runner.runner")
LOOPS = _root("loop", "engine_runner.loops")
HOOKS = _root("hook", "engine_runner.hooks")
STRATEGIES = _root("strategy", "engine_runner.strategies")
LOG_PROCESSORS = _root("log_processor", "engine_runner.runner")
INFERENCERS = _root("inferencer", "engine_runner.infer")

DATASETS = _root("dataset", "engine_dataset")
DATA_SAMPLERS = _root("data_sampler", "engine_dataset")
TRANSFORMS = _root("transform", "engine_dataset")
FUNCTIONS = _root("function", "engine_dataset")
COLLATE_FUNCTIONS = FUNCTIONS  # its old name

MODELS = _root("model", "engine_model", build_func=build_model_from_cfg)
MODEL_WRAPPERS = _root("model_wrapper", "engine_model")
WEIGHT_INITIALIZERS = _root("weight_initializer", "engine_model")
TASK_UTILS = _root("task_util", "engine_model")

OPTIMIZERS = _root("optimizer", "engine_optim")
OPTIM_WRAPPERS = _root("optim_wrapper", "engine_optim")
OPTIM_WRAPPER = OPTIM_WRAPPERS
OPTIM_WRAPPER_CONSTRUCTORS = _root("optim_wrapper_constructor", "engine_optim")
PARAM_SCHEDULERS = _root("param_scheduler", "engine_optim", build_func=build_scheduler_from_cfg)

METRICS = _root("metric", "engine_evaluator")
EVALUATOR = _root("evaluator", "engine_evaluator")

VISUALIZERS = _root("visualizer", "engine_visualization")
VISBACKENDS = _root("vis_backend", "engine_visualization")

ROOTS: dict[str, Registry] = {
    name: value for name, value in globals().items() if isinstance(value, Registry)
}
