"""Load weights from a path or address without running code, and save them."""

from engine_model._sharded_tensors import (
    gather_tensors,
    is_sharded,
    local_part,
    reshard,
    spread_optimizer_state,
)
from engine_model.weights._checkpoint import (
    load_checkpoint,
    load_checkpoint_with_prefix,
    naming_the_checkpoint,
    revise_names,
    save_checkpoint,
    weights_in,
    weights_under,
    write_checkpoint,
)
from engine_model.weights._errors import CheckpointError, StateDictError, WeightsError
from engine_model.weights._foreign import ForeignObject
from engine_model.weights._loader import CheckpointLoader
from engine_model.weights._read import read_checkpoint
from engine_model.weights._report import LoadReport
from engine_model.weights._seal import damage_of
from engine_model.weights._state import get_state_dict, load_state_dict, weights_to_cpu
from engine_model.weights._urls import (
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)

__all__ = [
    "CheckpointError",
    "CheckpointLoader",
    "ForeignObject",
    "LoadReport",
    "StateDictError",
    "WeightsError",
    "damage_of",
    "gather_tensors",
    "get_deprecated_model_names",
    "get_external_models",
    "get_mmcls_models",
    "get_state_dict",
    "get_torchvision_models",
    "is_sharded",
    "load_checkpoint",
    "load_checkpoint_with_prefix",
    "load_state_dict",
    "local_part",
    "naming_the_checkpoint",
    "read_checkpoint",
    "reshard",
    "revise_names",
    "save_checkpoint",
    "spread_optimizer_state",
    "weights_in",
    "weights_to_cpu",
    "weights_under",
    "write_checkpoint",
]
