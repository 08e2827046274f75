"""Train, validate and test PyTorch models from a config file."""

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
from engine_runner._hook import Hook
from engine_runner._log_processor import LogProcessor
from engine_runner._priority import Priority, get_priority
from engine_runner._progress import Progress
from engine_runner._settings import Settings
from engine_runner._version import __version__
from engine_runner.checkpoint import find_latest_checkpoint
from engine_runner.environment import set_random_seed
from engine_runner.flexible_runner import FlexibleRunner
from engine_runner.loops import (
    BaseLoop,
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    TestLoop,
    ValLoop,
)
from engine_runner.runner import Runner
from engine_runner.strategies import (
    BaseStrategy,
    DDPStrategy,
    FSDPStrategy,
    SingleDeviceStrategy,
    Strategy,
)

__all__ = [
    "BaseLoop",
    "BaseStrategy",
    "CheckpointLoader",
    "DDPStrategy",
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
    "__version__",
    "autocast",
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
    "weights_to_cpu",
]
