"""Train, validate and test PyTorch models from a config file."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from engine_runner._version import __version__

if TYPE_CHECKING:
    from engine_model.weights import (
        CheckpointLoader,
        get_deprecated_model_names,
        get_external_models,
        get_mmcls_models,
        get_state_dict,
        get_torchvision_models,
        load_checkpoint,
        load_state_dict,
        save_checkpoint,
        weights_to_cpu,
    )
    from engine_runner._autocast import autocast
    from engine_runner._dry_run import DryStage, dry_run
    from engine_runner._hook import Hook
    from engine_runner._log_processor import LogProcessor
    from engine_runner._priority import Priority, get_priority
    from engine_runner._progress import Progress
    from engine_runner._settings import Settings
    from engine_runner._types import ConfigType
    from engine_runner.checkpoint import find_latest_checkpoint
    from engine_runner.environment import set_random_seed
    from engine_runner.flexible_runner import FlexibleRunner
    from engine_runner.hooks import CompileReportHook
    from engine_runner.loops import (
        BaseLoop,
        EndlessBatches,
        EpochBasedTrainLoop,
        IterBasedTrainLoop,
        TestLoop,
        ValLoop,
        _InfiniteDataloaderIterator,
        calc_dynamic_intervals,
    )
    from engine_runner.runner import Runner
    from engine_runner.strategies import (
        BaseStrategy,
        DDPStrategy,
        FSDPStrategy,
        SingleDeviceStrategy,
        Strategy,
        turn_on_activation_checkpointing,
    )

__all__ = [
    "BaseLoop",
    "BaseStrategy",
    "CheckpointLoader",
    "CompileReportHook",
    "ConfigType",
    "DDPStrategy",
    "DryStage",
    "EndlessBatches",
    "EpochBasedTrainLoop",
    "FSDPStrategy",
    "FlexibleRunner",
    "Hook",
    "IterBasedTrainLoop",
    "LogProcessor",
    "Priority",
    "Progress",
    "Runner",
    "Settings",
    "SingleDeviceStrategy",
    "Strategy",
    "TestLoop",
    "ValLoop",
    "_InfiniteDataloaderIterator",
    "__version__",
    "autocast",
    "calc_dynamic_intervals",
    "dry_run",
    "find_latest_checkpoint",
    "get_deprecated_model_names",
    "get_external_models",
    "get_mmcls_models",
    "get_priority",
    "get_state_dict",
    "get_torchvision_models",
    "load_checkpoint",
    "load_state_dict",
    "save_checkpoint",
    "set_random_seed",
    "turn_on_activation_checkpointing",
    "weights_to_cpu",
]

# The module of each name. It is imported at the first use of the name, as torch takes seconds to
# import, and a command that prints its help does not need it. Type checkers read the imports above.
_NAMES = {
    "engine_model.weights": (
        "CheckpointLoader",
        "get_deprecated_model_names",
        "get_external_models",
        "get_mmcls_models",
        "get_state_dict",
        "get_torchvision_models",
        "load_checkpoint",
        "load_state_dict",
        "save_checkpoint",
        "weights_to_cpu",
    ),
    "engine_runner._autocast": ("autocast",),
    "engine_runner._dry_run": (
        "DryStage",
        "dry_run",
    ),
    "engine_runner._hook": ("Hook",),
    "engine_runner._log_processor": ("LogProcessor",),
    "engine_runner._priority": (
        "Priority",
        "get_priority",
    ),
    "engine_runner._progress": ("Progress",),
    "engine_runner._settings": ("Settings",),
    "engine_runner._types": ("ConfigType",),
    "engine_runner.checkpoint": ("find_latest_checkpoint",),
    "engine_runner.environment": ("set_random_seed",),
    "engine_runner.flexible_runner": ("FlexibleRunner",),
    "engine_runner.hooks": ("CompileReportHook",),
    "engine_runner.loops": (
        "BaseLoop",
        "EndlessBatches",
        "EpochBasedTrainLoop",
        "IterBasedTrainLoop",
        "TestLoop",
        "ValLoop",
        "_InfiniteDataloaderIterator",
        "calc_dynamic_intervals",
    ),
    "engine_runner.runner": ("Runner",),
    "engine_runner.strategies": (
        "BaseStrategy",
        "DDPStrategy",
        "FSDPStrategy",
        "SingleDeviceStrategy",
        "Strategy",
        "turn_on_activation_checkpointing",
    ),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:  # type checkers would accept every name of a module that has this function

    def __getattr__(name: str) -> Any:
        """Import a name, or a room such as ``engine_runner.hooks``, at its first use."""
        if name in _HOMES:
            value = globals()[name] = getattr(import_module(_HOMES[name]), name)
            return value
        room = f"{__name__}.{name}"
        if not name.startswith("_") and find_spec(room):
            return import_module(room)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
