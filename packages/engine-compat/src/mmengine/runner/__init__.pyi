"""Written by scripts/compat_stubs.py."""

from engine_runner import (
    BaseLoop,
    CheckpointLoader,
    EpochBasedTrainLoop,
    FlexibleRunner,
    IterBasedTrainLoop,
    LogProcessor,
    Priority,
    Runner,
    TestLoop,
    ValLoop,
    autocast,
    find_latest_checkpoint,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_priority,
    get_state_dict,
    get_torchvision_models,
    load_checkpoint,
    load_state_dict,
    save_checkpoint,
    set_random_seed,
    turn_on_activation_checkpointing,
    weights_to_cpu,
)
from mmengine.runner import _flexible_runner as _flexible_runner
from mmengine.runner import activation_checkpointing as activation_checkpointing
from mmengine.runner import amp as amp
from mmengine.runner import base_loop as base_loop
from mmengine.runner import checkpoint as checkpoint
from mmengine.runner import log_processor as log_processor
from mmengine.runner import loops as loops
from mmengine.runner import priority as priority
from mmengine.runner import runner as runner
from mmengine.runner import utils as utils

__all__ = [
    "BaseLoop",
    "CheckpointLoader",
    "EpochBasedTrainLoop",
    "FlexibleRunner",
    "IterBasedTrainLoop",
    "LogProcessor",
    "Priority",
    "Runner",
    "TestLoop",
    "ValLoop",
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
    "turn_on_activation_checkpointing",
    "weights_to_cpu",
]
