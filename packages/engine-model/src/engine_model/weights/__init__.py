"""Load weights from a path or address without running code, and save them."""

from engine_model._sharded_tensors import (
    forget_window_gradients,
    gather_tensors,
    is_sharded,
    local_part,
    reshard,
    shard_like,
    spread_optimizer_state,
    window_gradients,
)
from engine_model.weights._by_library import (
    _load_checkpoint,
    _load_checkpoint_to_model,
    _load_checkpoint_with_prefix,
)
from engine_model.weights._call_by_name import CallByName, NamingPickle
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
from engine_model.weights._loader import CheckpointLoader
from engine_model.weights._naming import naming_the_file
from engine_model.weights._placeholder import ForeignObject
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
from engine_model.weights.sharded import (
    MANIFEST,
    SUFFIX,
    Placement,
    ShardedSave,
    discard_unfinished,
    is_sharded_path,
    placement_of,
    read_sharded,
    remove_sharded,
    sharded_damage,
)

__all__ = [
    "MANIFEST",
    "SUFFIX",
    "CallByName",
    "CheckpointError",
    "CheckpointLoader",
    "ForeignObject",
    "LoadReport",
    "NamingPickle",
    "Placement",
    "ShardedSave",
    "StateDictError",
    "WeightsError",
    "_load_checkpoint",
    "_load_checkpoint_to_model",
    "_load_checkpoint_with_prefix",
    "damage_of",
    "discard_unfinished",
    "forget_window_gradients",
    "gather_tensors",
    "get_deprecated_model_names",
    "get_external_models",
    "get_mmcls_models",
    "get_state_dict",
    "get_torchvision_models",
    "is_sharded",
    "is_sharded_path",
    "load_checkpoint",
    "load_checkpoint_with_prefix",
    "load_state_dict",
    "local_part",
    "naming_the_checkpoint",
    "naming_the_file",
    "placement_of",
    "read_checkpoint",
    "read_sharded",
    "remove_sharded",
    "reshard",
    "revise_names",
    "save_checkpoint",
    "shard_like",
    "sharded_damage",
    "spread_optimizer_state",
    "weights_in",
    "weights_to_cpu",
    "weights_under",
    "window_gradients",
    "write_checkpoint",
]
