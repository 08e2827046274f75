"""Translate options of torch's `FullyShardedDataParallel` into those of `fully_shard`.

`torch.distributed.fsdp` is imported when a function runs, as it takes most of a second.
"""

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from engine_dist import get_comm_device, get_local_size, get_world_size
from engine_registry import FUNCTIONS
from engine_utils import did_you_mean

if TYPE_CHECKING:
    from torch.distributed.fsdp import MixedPrecision, ShardingStrategy

# Whether parameters are freed after the forward pass, and whether groups of ranks hold copies.
_STRATEGIES = {
    "FULL_SHARD": (True, False),
    "SHARD_GRAD_OP": (False, False),
    "NO_SHARD": (False, True),
    "HYBRID_SHARD": (True, True),
    "_HYBRID_SHARD_ZERO2": (False, True),
}
_PRECISION = ("param_dtype", "reduce_dtype", "buffer_dtype", "cast_forward_inputs")
# fully_shard has no such options; these are the values that it behaves as.
_FIXED_PRECISION = {"keep_low_precision_grads": False, "cast_root_forward_inputs": True}


def strategy_options(
    strategy: "str | ShardingStrategy | None", group: ProcessGroup | None
) -> dict[str, Any]:
    """Return the arguments of `fully_shard` for a sharding strategy.

    Args:
        strategy: ``"FULL_SHARD"``, ``"SHARD_GRAD_OP"``, ``"NO_SHARD"`` or ``"HYBRID_SHARD"``, or
            the enum of torch; ``None`` leaves the choice to `fully_shard`.
        group: The ranks to shard across.

    Raises:
        ValueError: The strategy is unknown, or needs ranks other than those of ``group``.
    """
    if strategy is None:
        return {}
    name = strategy if isinstance(strategy, str) else getattr(strategy, "name", repr(strategy))
    if name not in _STRATEGIES:
        raise ValueError(
            f"sharding_strategy must be one of {', '.join(_STRATEGIES)}, got {name!r}"
            f"{did_you_mean(name, _STRATEGIES)}"
        )
    frees, copies = _STRATEGIES[name]
    options: dict[str, Any] = {"reshard_after_forward": frees}
    if copies:
        options["mesh"] = _mesh_with_copies(name, group)
    return options


def _mesh_with_copies(name: str, group: ProcessGroup | None) -> DeviceMesh:
    """Return a mesh whose first dimension holds copies, and whose second one shards."""
    if group is not None:
        raise ValueError(
            f"process_group must be None with sharding_strategy={name!r}, which has a group for "
            "the shards and one for the copies; pass mesh, with two dimensions"
        )
    world, local = get_world_size(), 1 if name == "NO_SHARD" else get_local_size()
    if world % local:
        raise ValueError(
            f"sharding_strategy={name!r} needs as many ranks on each machine, got {local} here and "
            f"{world} in all; pass mesh, with two dimensions"
        )
    kind = get_comm_device(group).type
    return init_device_mesh(kind, (world // local, local), mesh_dim_names=("copy", "shard"))


def precision_options(
    precision: "Mapping[str, Any] | MixedPrecision | None",
) -> tuple[dict[str, Any], torch.dtype | None]:
    """Return the arguments of `MixedPrecisionPolicy`, and the data type of buffers.

    Args:
        precision: A `torch.distributed.fsdp.MixedPrecision`, or a dict of its arguments, with data
            types by name.

    Raises:
        TypeError: ``precision`` is neither.
        ValueError: An argument is unknown, or has a value without a counterpart.
    """
    if precision is None:
        return {}, None
    given: dict[str, Any]
    if is_dataclass(precision) and not isinstance(precision, type):
        # Its default inputs are cast by the root alone; here each unit casts its own.
        given = {**vars(precision), "cast_forward_inputs": True}
        given.pop("_module_classes_to_ignore", None)  # batch norm is not left out here
    elif isinstance(precision, Mapping):
        given = dict(precision)
    else:
        raise TypeError(
            "mixed_precision must be a dict or a torch.distributed.fsdp.MixedPrecision, got "
            f"{precision!r}"
        )
    for name, value in given.items():
        if name in _FIXED_PRECISION and value == _FIXED_PRECISION[name]:
            continue
        if name in _FIXED_PRECISION:
            raise ValueError(
                f"{name} of mixed_precision must be {_FIXED_PRECISION[name]}, got {value!r}; "
                "fully_shard has no such option"
            )
        if name not in _PRECISION:
            raise ValueError(
                f"mixed_precision must have the keys {', '.join(_PRECISION)}, got {name!r}"
                f"{did_you_mean(name, _PRECISION)}"
            )
    options = {key: _dtype(value) for key, value in given.items() if key not in _FIXED_PRECISION}
    buffers: torch.dtype | None = options.pop("buffer_dtype", None)
    return options, buffers


def _dtype(value: Any) -> Any:
    return getattr(torch, value) if isinstance(value, str) else value


def cast_buffers(module: nn.Module, dtype: torch.dtype) -> None:
    """Convert the floating-point buffers of a module and its parts.

    Args:
        module: The module.
        dtype: The data type.
    """
    for owner in module.modules():
        for name, buffer in owner.named_buffers(recurse=False):
            if buffer.is_floating_point():
                owner._buffers[name] = buffer.to(dtype)


def initialize_meta_modules(
    module: nn.Module, init: "str | Callable[[nn.Module], Any] | None"
) -> None:
    """Call a function on each module that has parameters or buffers on the meta device.

    Args:
        module: The module.
        init: Creates and fills the tensors of one module, without those of its parts; a name is
            that of a function in ``FUNCTIONS``.

    Raises:
        TypeError: ``init`` is not callable.
        ValueError: ``FUNCTIONS`` has no function of this name, or a tensor stays on the meta
            device.
    """
    if init is None:
        return
    function = FUNCTIONS.get(init) if isinstance(init, str) else init
    if function is None:
        raise ValueError(
            f"param_init_fn must be a name in FUNCTIONS, got {init!r}; register the function there"
        )
    if not callable(function):
        raise TypeError(f"param_init_fn must be a function or its name, got {init!r}")
    for name, part in module.named_modules():
        if _on_meta(part):
            function(part)
        if _on_meta(part):
            raise ValueError(
                "param_init_fn must create the tensors of each module, got "
                f"{name or 'the model'!r} on the meta device still; call "
                "module.to_empty(device=..., recurse=False) in it"
            )


def _on_meta(module: nn.Module) -> bool:
    tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return any(tensor.is_meta for tensor in tensors)
