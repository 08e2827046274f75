"""Translate options of torch's `FullyShardedDataParallel` into those of `fully_shard`.

`torch.distributed.fsdp` is imported when a function runs, as it takes most of a second.
"""

from collections.abc import Callable, Mapping, Sized
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh

from engine_model.wrappers._mesh import Shape, device_mesh, mesh_shape, mesh_with_copies
from engine_registry import FUNCTIONS
from engine_utils import did_you_mean

if TYPE_CHECKING:
    from torch.distributed.fsdp import MixedPrecision, MixedPrecisionPolicy, ShardingStrategy

# Whether parameters are freed after the forward pass, and whether groups of ranks hold copies.
_STRATEGIES = {
    "FULL_SHARD": (True, False),
    "SHARD_GRAD_OP": (False, False),
    "NO_SHARD": (False, True),
    "HYBRID_SHARD": (True, True),
    "_HYBRID_SHARD_ZERO2": (False, True),
}
_PRECISION = (
    "param_dtype",
    "reduce_dtype",
    "output_dtype",
    "buffer_dtype",
    "cast_forward_inputs",
)
# fully_shard has no such options; these are the values that it behaves as.
_FIXED_PRECISION = {"keep_low_precision_grads": False, "cast_root_forward_inputs": True}


def strategy_flags(strategy: "str | ShardingStrategy") -> tuple[str, bool, bool]:
    """Return the name of a sharding strategy, whether it frees parameters, and whether it copies.

    Args:
        strategy: ``"FULL_SHARD"``, ``"SHARD_GRAD_OP"``, ``"NO_SHARD"``, ``"HYBRID_SHARD"`` or
            ``"_HYBRID_SHARD_ZERO2"``, or the enum of torch.

    Raises:
        ValueError: The strategy is unknown.
    """
    name = strategy if isinstance(strategy, str) else getattr(strategy, "name", repr(strategy))
    if name not in _STRATEGIES:
        raise ValueError(
            f"sharding_strategy must be one of {', '.join(_STRATEGIES)}, got {name!r}"
            f"{did_you_mean(name, _STRATEGIES)}"
        )
    return name, *_STRATEGIES[name]


def check_sharding(
    *,
    auto_wrap_policy: object = None,
    mixed_precision: Any = None,
    sharding_strategy: Any = None,
    mesh: Any = None,
    reshard_after_forward: object = None,
) -> None:
    """Check the arguments of `MMFullyShardedDataParallel` that need neither a model nor ranks.

    Args:
        auto_wrap_policy: Whether a number is one of elements; names are found in the model later.
        mixed_precision: The keys and data types.
        sharding_strategy: The name, and whether the two arguments below fit it.
        mesh: The shape.
        reshard_after_forward: The type.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument has an unknown value.

    Example:
        >>> check_sharding(mesh=(-1, 8), mixed_precision={"param_dtype": "bfloat16"})
    """
    precision_options(mixed_precision)
    if mesh is not None and not isinstance(mesh, DeviceMesh):
        mesh_shape(mesh)
    if sharding_strategy is not None:
        name, frees, copies = strategy_flags(sharding_strategy)
        _check_strategy(name, frees, copies, _ndim(mesh), mesh, reshard_after_forward)
    if not isinstance(reshard_after_forward, bool | int | None):
        raise TypeError(
            f"reshard_after_forward must be a bool or an integer, got {reshard_after_forward!r}"
        )
    too_small = isinstance(auto_wrap_policy, int) and auto_wrap_policy < 1
    if isinstance(auto_wrap_policy, bool | float) or too_small:
        raise TypeError(
            "auto_wrap_policy must be a policy, names, classes or an integer >= 1, got "
            f"{auto_wrap_policy!r}"
        )
    if isinstance(auto_wrap_policy, str | Sized) and not len(auto_wrap_policy):
        raise ValueError(
            f"auto_wrap_policy must name at least one class or module, got {auto_wrap_policy!r}; "
            "leave it out for one unit"
        )


def _ndim(mesh: Any) -> int | None:
    if mesh is None or isinstance(mesh, DeviceMesh):
        return None if mesh is None else mesh.ndim
    return 1 if isinstance(mesh, int) else len(mesh)


def _check_strategy(
    name: str, frees: bool, copies: bool, ndim: int | None, mesh: Any, reshard: object
) -> None:
    """Raise if other arguments differ from a sharding strategy.

    Raises:
        ValueError: The mesh has other dimensions, or ``reshard`` frees at another time.
    """
    if reshard is not None and reshard is not frees:
        raise ValueError(
            f"reshard_after_forward must be {frees} with sharding_strategy={name!r}, got "
            f"{reshard!r}; give one of them"
        )
    if ndim is not None and (ndim == 2) != copies:
        raise ValueError(
            f"mesh must have {2 if copies else 1} dimensions with sharding_strategy={name!r}, got "
            f"{mesh!r}; give reshard_after_forward instead of the strategy"
        )


def strategy_options(
    strategy: "str | ShardingStrategy | None",
    group: ProcessGroup | None,
    mesh: DeviceMesh | Shape | None = None,
    reshard: bool | int | None = None,
) -> dict[str, Any]:
    """Return the arguments of `fully_shard` for a sharding strategy.

    Args:
        strategy: See `strategy_flags`; ``None`` leaves the choice to the other arguments.
        group: The ranks to shard across.
        mesh: The ranks, instead of a group.
        reshard: The argument ``reshard_after_forward``.

    Raises:
        ValueError: The strategy is unknown, needs other ranks than those given, or frees
            parameters at another time than ``reshard``.
    """
    if strategy is None:
        options: dict[str, Any] = {"mesh": device_mesh(mesh, group)}
        return options if reshard is None else {**options, "reshard_after_forward": reshard}
    name, frees, copies = strategy_flags(strategy)
    default = mesh is None and copies
    ranks = mesh_with_copies(name, group) if default else device_mesh(mesh, group)
    _check_strategy(name, frees, copies, ranks.ndim, mesh, reshard)
    return {"mesh": ranks, "reshard_after_forward": frees}


def precision_options(
    precision: "Mapping[str, Any] | MixedPrecision | MixedPrecisionPolicy | None",
    setting: str = "mixed_precision",
) -> tuple[dict[str, Any], torch.dtype | None]:
    """Return the arguments of `MixedPrecisionPolicy`, and the data type of buffers.

    Args:
        precision: A `torch.distributed.fsdp.MixedPrecision` or `MixedPrecisionPolicy`, or a dict
            of their arguments, with data types by name.
        setting: The name of the argument that has it, for messages.

    Raises:
        TypeError: ``precision`` is neither.
        ValueError: An argument is unknown, or has a value without a counterpart.
    """
    if precision is None:
        return {}, None
    given: dict[str, Any]
    if is_dataclass(precision) and not isinstance(precision, type):
        given = dict(vars(precision))
        if "cast_root_forward_inputs" in given:  # torch's earlier class
            # Its default inputs are cast by the root alone; here each unit casts its own.
            given["cast_forward_inputs"] = True
        given.pop("_module_classes_to_ignore", None)  # batch norm is not left out here
    elif isinstance(precision, Mapping):
        given = dict(precision)
    else:
        raise TypeError(
            f"{setting} must be a dict or a torch.distributed.fsdp.MixedPrecision, got "
            f"{precision!r}"
        )
    for name, value in given.items():
        if name in _FIXED_PRECISION and value == _FIXED_PRECISION[name]:
            continue
        if name in _FIXED_PRECISION:
            raise ValueError(
                f"{name} of {setting} must be {_FIXED_PRECISION[name]}, got {value!r}; "
                "fully_shard has no such option"
            )
        if name not in _PRECISION:
            raise ValueError(
                f"{setting} must have the keys {', '.join(_PRECISION)}, got {name!r}"
                f"{did_you_mean(name, _PRECISION)}"
            )
    options = {
        key: _dtype(setting, key, value)
        for key, value in given.items()
        if key not in _FIXED_PRECISION
    }
    buffers: torch.dtype | None = options.pop("buffer_dtype", None)
    return options, buffers


def precision_policy(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `torch.distributed.fsdp.MixedPrecisionPolicy`.

    Args:
        values: These arguments, in which data types may be names such as ``"bfloat16"``.

    Raises:
        ValueError: An argument or a data type is unknown.
    """
    options, buffers = precision_options(values, "mp_policy")
    if buffers is not None:
        raise ValueError("mp_policy must have no buffer_dtype; give it in mixed_precision")
    return options


def _dtype(setting: str, key: str, value: Any) -> Any:
    """Return the data type of a name such as ``"bfloat16"``, or a value that is none as it is."""
    if key == "cast_forward_inputs":
        if not isinstance(value, bool):
            raise TypeError(f"{key} of {setting} must be True or False, got {value!r}")
        return value
    if value is None:
        return None
    is_name = isinstance(value, str)
    found = getattr(torch, value.removeprefix("torch."), None) if is_name else value
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        names = ("float32", "float16", "bfloat16", "float64")
        similar = did_you_mean(value, names) if is_name else ""
        raise ValueError(
            f"{key} of {setting} must be a floating-point type such as {', '.join(names[:3])}, "
            f"got {value!r}{similar}"
        )
    return found


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
    function = FUNCTIONS.in_default_scope().get(init) if isinstance(init, str) else init
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
