"""Sharded tensors: recognize them, gather them, and shard a tensor like another.

They are the ``DTensor`` of torch. Its package takes a second to import, so this module recognizes a
``DTensor`` without it: a program that has one has imported the package already.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from torch import Tensor
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


def whole(tensor: Tensor) -> Tensor:
    """Return a sharded tensor gathered from its ranks, each of which must call this.

    Args:
        tensor: A tensor; one that is not sharded is returned itself.
    """
    return tensor.full_tensor() if is_sharded(tensor) else tensor


def shard_like(value: _Value, like: object) -> "_Value | Tensor":
    """Return ``value`` whole or sharded in the same way as ``like``.

    Args:
        value: A tensor. Other values, and tensors of another shape than ``like``, are returned
            unchanged.
        like: The tensor to follow.
    """
    if not isinstance(value, Tensor) or not isinstance(like, Tensor) or value.shape != like.shape:
        return value
    if not is_sharded(like):
        return whole(value)
    source: Tensor = value
    if is_sharded(value):
        if value.device_mesh == like.device_mesh and value.placements == like.placements:
            return value
        source = whole(value)
    from torch.distributed.tensor import distribute_tensor

    # Each rank has the whole tensor already. With a source rank, torch would send it again.
    return distribute_tensor(source.detach(), like.device_mesh, like.placements, src_data_rank=None)


def local_parts(tensor: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Return the elements of ``tensor`` on this rank, and the same elements of ``source``.

    Args:
        tensor: A tensor, sharded or not.
        source: A tensor of its shape, sharded or not.
    """
    source = shard_like(source, tensor)
    if is_sharded(tensor) and is_sharded(source):
        return tensor.to_local(), source.to_local()
    return tensor, source


def sharded_names(value: object, name: str = "") -> list[str]:
    """Return where nested containers have sharded tensors, as dotted names.

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
        # A checkpoint has thousands of plain values, whose names need not be built.
        if isinstance(item, Tensor | Mapping | list | tuple):
            found += sharded_names(item, f"{name}.{key}" if name else str(key))
    return found


def gather_tensors(value: Any) -> Any:
    """Return nested containers with each sharded tensor gathered, on the CPU.

    All ranks must call this, with the same containers. Containers without a sharded tensor are
    returned themselves.

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

    Call it after loading a whole state dict. Each rank keeps its part of what it loaded.

    Args:
        optimizer: The optimizer; without sharded parameters nothing changes.

    Example:
        >>> from torch import nn, optim
        >>> spread_optimizer_state(optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1))
    """
    for parameter, state in optimizer.state.items():
        if is_sharded(parameter):
            for name, value in state.items():
                state[name] = shard_like(value, parameter)
