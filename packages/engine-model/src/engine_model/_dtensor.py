"""Tensors of which each rank holds a part: made whole, and spread.

They are the ``DTensor`` of torch. Nothing here imports its package, which takes a second, before
there is one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer


def is_sharded(value: object) -> bool:
    """Return whether ``value`` is a tensor that is spread over ranks.

    Args:
        value: Anything.

    Example:
        >>> import torch
        >>> is_sharded(torch.zeros(2))
        False
    """
    return isinstance(value, Tensor) and hasattr(value, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """Return a sharded tensor gathered from all its ranks, each of which must call this.

    Args:
        tensor: A tensor; one that is not sharded is returned as it is.
    """
    gather = getattr(tensor, "full_tensor", None)
    return tensor if gather is None else gather()


def spread_like(value: Any, like: Any) -> Any:
    """Return ``value`` whole or sharded as ``like`` is.

    Args:
        value: A tensor; anything else is returned as it is, and so is a tensor of another shape.
        like: Likewise.
    """
    if not isinstance(value, Tensor) or not isinstance(like, Tensor) or value.shape != like.shape:
        return value
    if not is_sharded(like):
        return whole(value)
    target: Any = like
    source: Any = value
    if is_sharded(value):
        same = source.device_mesh == target.device_mesh and source.placements == target.placements
        if same:
            return value
        value = whole(value)
    from torch.distributed.tensor import distribute_tensor

    # Each rank cuts its part from what it has itself: there is nothing to send.
    return distribute_tensor(
        value.detach(), target.device_mesh, target.placements, src_data_rank=None
    )


def local_parts(tensor: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Return what this rank holds of ``tensor``, and of ``source`` the same elements.

    Args:
        tensor: A tensor, sharded or not.
        source: A tensor of its shape, sharded or not.
    """
    source = spread_like(source, tensor)
    if not is_sharded(tensor):
        return tensor, source
    ours: Any = tensor
    theirs: Any = source
    return ours.to_local(), theirs.to_local()


def sharded_names(value: object, name: str = "") -> list[str]:
    """Return where in nested containers there are sharded tensors, as names with dots.

    Args:
        value: Dicts, lists and tuples in each other.
        name: Where ``value`` is itself.
    """
    if is_sharded(value):
        return [name]
    items: Sequence[tuple[object, object]] = ()
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    found = []
    for key, item in items:
        if isinstance(item, Tensor | Mapping | list | tuple):
            found += sharded_names(item, f"{name}.{key}" if name else str(key))
    return found


def gather_tensors(value: Any) -> Any:
    """Return nested containers with every sharded tensor in them made whole, on the CPU.

    All ranks must call this, with the same containers. Those that hold no sharded tensor are
    returned as they are.

    Args:
        value: Dicts, lists and tuples in each other, such as the state dict of an optimizer.

    Example:
        >>> import torch
        >>> state = {"state": {0: {"step": torch.zeros(())}}}
        >>> gather_tensors(state) is state
        True
    """
    if not sharded_names(value):
        return value
    if isinstance(value, Tensor):
        return whole(value).cpu()
    if isinstance(value, Mapping):
        return {key: gather_tensors(item) for key, item in value.items()}
    items = [gather_tensors(item) for item in value]
    return tuple(items) if isinstance(value, tuple) else items


def spread_optimizer_state(optimizer: Optimizer) -> None:
    """Spread what an optimizer keeps for each sharded parameter as that parameter is.

    Call it after a whole state dict was loaded; each rank takes its part of what it loaded.

    Args:
        optimizer: The optimizer; without sharded parameters nothing changes.

    Example:
        >>> from torch import nn, optim
        >>> spread_optimizer_state(optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1))
    """
    for parameter, state in optimizer.state.items():
        if is_sharded(parameter):
            for name, value in state.items():
                state[name] = spread_like(value, parameter)
