"""Recognize and gather sharded tensors, and shard a tensor like another.

Sharded tensors are torch's `DTensor`. Importing its package takes a second, so this module
recognizes a `DTensor` by its methods. A program that has one has imported the package already.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from engine_dist import map_tensors

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

_Value = TypeVar("_Value")


def is_sharded(value: object) -> "TypeGuard[DTensor]":
    """Return whether ``value`` is a tensor that is sharded across ranks.

    Args:
        value: Any object.

    Example:
        >>> import torch
        >>> is_sharded(torch.zeros(2))
        False
    """
    return isinstance(value, Tensor) and hasattr(value, "full_tensor")


def sharded_modules(model: nn.Module) -> list[Any]:
    """Return the sub-modules that `torch.distributed.fsdp.fully_shard` has changed.

    Args:
        model: The model, or its wrapper.

    Example:
        >>> sharded_modules(nn.Linear(1, 1))
        []
    """
    # A program that has sharded a model has imported this package already.
    fsdp = sys.modules.get("torch.distributed.fsdp")
    kind = getattr(fsdp, "FSDPModule", ())
    return [module for module in model.modules() if isinstance(module, kind)]


def reshard(model: nn.Module) -> None:
    """Free the gathered parameters of a sharded model.

    After a forward pass without a backward pass, the outermost module keeps its gathered
    parameters, and the next forward pass uses them. Call this before the parameters are changed
    in place, so that the next forward pass gathers the new values.

    Args:
        model: The model, or its wrapper. One that is not sharded is not changed.
    """
    for module in sharded_modules(model):
        module.reshard()


def whole(tensor: Tensor) -> Tensor:
    """Gather a sharded tensor; all ranks must call this.

    Args:
        tensor: A tensor. If it is not sharded, it is returned unchanged.
    """
    return tensor.full_tensor() if is_sharded(tensor) else tensor


def shard_like(value: _Value, like: object) -> "_Value | Tensor":
    """Gather or shard ``value`` to match ``like``.

    Args:
        value: A tensor. Other values, and tensors of another shape than ``like``, are returned
            unchanged.
        like: The tensor to match.
    """
    if not isinstance(value, Tensor) or not isinstance(like, Tensor):
        return value
    # A lazy module takes any shape, so it has none to compare.
    if is_lazy(like) or value.shape != like.shape:
        return value
    if not is_sharded(like):
        return whole(value)
    source: Tensor = value
    if is_sharded(value):
        if value.device_mesh == like.device_mesh and value.placements == like.placements:
            return value
        source = whole(value)
    from torch.distributed.tensor import distribute_tensor

    # src_data_rank=None: each rank has the whole tensor. Otherwise torch would send it again.
    return distribute_tensor(source.detach(), like.device_mesh, like.placements, src_data_rank=None)


def local_part(tensor: Tensor) -> Tensor:
    """Return the elements of a tensor on this rank, without a graph.

    Args:
        tensor: A tensor. If it is not sharded, it is returned whole.

    Example:
        >>> import torch
        >>> local_part(torch.zeros(2, requires_grad=True))
        tensor([0., 0.])
    """
    return (tensor.to_local() if is_sharded(tensor) else tensor).detach()


def local_parts(tensor: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Return the elements of ``tensor`` on this rank, and the same elements of ``source``.

    Args:
        tensor: A tensor, sharded or not.
        source: A tensor of the same shape, sharded or not.
    """
    source = shard_like(source, tensor)
    if is_sharded(tensor) and is_sharded(source):
        return tensor.to_local(), source.to_local()
    return tensor, source


def sharded_names(value: object, name: str = "") -> list[str]:
    """Return the dotted names of the sharded tensors in nested containers.

    Args:
        value: A tensor, or nested dicts, lists and tuples.
        name: The name of ``value`` itself.
    """
    if is_sharded(value):
        return [name]
    items: Iterable[tuple[object, object]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    found = []
    for key, item in items:
        # Skip plain values: a checkpoint has thousands, and building their names takes time.
        if isinstance(item, Tensor | Mapping | list | tuple):
            found += sharded_names(item, f"{name}.{key}" if name else str(key))
    return found


def gather_tensors(value: Any) -> Any:
    """Gather each sharded tensor in nested containers on the CPU.

    All ranks must call this, with the same containers. Containers without a sharded tensor are
    returned unchanged.

    Args:
        value: Nested dicts, lists and tuples, such as the state dict of an optimizer.

    Example:
        >>> import torch
        >>> state = {"state": {0: {"step": torch.zeros(())}}}
        >>> gather_tensors(state) is state
        True
    """
    return map_tensors(lambda tensor: whole(tensor).cpu() if is_sharded(tensor) else tensor, value)


def spread_optimizer_state(optimizer: Optimizer) -> None:
    """Shard the optimizer's state of each sharded parameter in the same way as the parameter.

    Call it after loading a state dict that is not sharded. Each rank keeps its part of the state.

    Args:
        optimizer: The optimizer. Without sharded parameters nothing changes.

    Example:
        >>> from torch import nn, optim
        >>> spread_optimizer_state(optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1))
    """
    for parameter, state in optimizer.state.items():
        if is_sharded(parameter):
            for name, value in state.items():
                state[name] = shard_like(value, parameter)


def window_gradients(model: nn.Module) -> dict[Tensor, Tensor]:
    """Return the whole gradients that a sharded model keeps inside ``no_sync``, by parameter.

    They are those of this rank, not copies. `torch.distributed.fsdp.fully_shard` exchanges them in
    the first backward pass outside of it, and adds the result to the gradient of the parameter.

    Args:
        model: The model, or its wrapper.

    Example:
        >>> window_gradients(nn.Linear(1, 1))
        {}
    """
    found = {}
    for shard in _unit_parameters(model):
        kept = shard.unsharded_accumulated_grad
        if kept is None:
            kept = getattr(getattr(shard, "_unsharded_param", None), "grad", None)
        if kept is not None:
            found[shard.sharded_param] = kept
    return found


def forget_window_gradients(model: nn.Module, parameters: Iterable[Tensor]) -> None:
    """Drop what `window_gradients` returns for some parameters.

    Args:
        model: The model, or its wrapper.
        parameters: The sharded parameters.
    """
    chosen = set(parameters)
    for shard in _unit_parameters(model):
        if shard.sharded_param in chosen:
            shard.unsharded_accumulated_grad = None
            if hasattr(shard, "_unsharded_param"):
                shard._unsharded_param.grad = None


def _unit_parameters(model: nn.Module) -> Iterable[Any]:
    """Yield what torch notes of each parameter that it shards; it has no public access to it."""
    for module in sharded_modules(model):
        state = module._get_fsdp_state()
        # Before torch 2.12 a module has one group.
        groups = getattr(state, "_fsdp_param_groups", None)
        for group in [state._fsdp_param_group] if groups is None else groups:
            yield from [] if group is None else group.fsdp_params
