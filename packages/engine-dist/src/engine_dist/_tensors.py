"""Tensors inside containers: where they are, moving them, taking them out and putting them back."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import torch
import torch.utils._pytree as pytree

L = TypeVar("L")

Data: TypeAlias = Any
"""A tensor, or dicts, lists, tuples and classes known to torch's pytree, nested, that hold some."""


def map_leaves(kind: type[L], function: Callable[[L], Any], data: Data) -> Data:
    """Rebuild nested containers with each value of one class replaced; others stay as they are."""
    if isinstance(data, kind):
        return function(data)
    if isinstance(data, Mapping):
        values = {key: map_leaves(kind, function, value) for key, value in data.items()}
        return values if type(data) is dict else _like(data, values)
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(map_leaves(kind, function, item) for item in data))
    if isinstance(data, list | tuple):
        return type(data)(map_leaves(kind, function, item) for item in data)
    if not pytree.tree_is_leaf(data):  # a class that torch knows how to open: data elements, …
        return pytree.tree_map(lambda leaf: map_leaves(kind, function, leaf), data)
    return data


def _like(original: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    if isinstance(original, defaultdict):
        return defaultdict(original.default_factory, values)
    return type(original)(values)  # type: ignore[call-arg]  # what classes of mappings take


def list_tensors(data: Data) -> list[torch.Tensor]:
    """List the tensors of nested containers, in the order in which the containers hold them."""
    if isinstance(data, torch.Tensor):
        return [data]
    if isinstance(data, Mapping):
        data = list(data.values())
    if isinstance(data, list | tuple):
        return [tensor for item in data for tensor in list_tensors(item)]
    if not pytree.tree_is_leaf(data):
        return [tensor for leaf in pytree.tree_leaves(data) for tensor in list_tensors(leaf)]
    return []


def get_data_device(data: Data) -> torch.device:
    """Return the device of a tensor, or of the tensors in (nested) containers.

    Args:
        data: A tensor, or a sequence or dict of tensors, nested as deep as you like.

    Raises:
        TypeError: `data` is neither tensor nor container.
        ValueError: There is no tensor in it, or they are on different types of device.

    Example:
        >>> get_data_device({"image": torch.zeros(3), "boxes": [torch.ones(2, 4)]})
        device(type='cpu')
    """
    if not isinstance(data, torch.Tensor | Mapping | Sequence) or isinstance(data, str | bytes):
        raise TypeError(f"expected a tensor, sequence or dict, but got {type(data).__name__}")
    tensors = list_tensors(data)
    if not tensors:
        raise ValueError(f"no tensor in this {type(data).__name__}: its device is undefined")
    types = {tensor.device.type for tensor in tensors}
    if len(types) > 1:
        raise ValueError(
            f"the tensors are on different types of device: {', '.join(sorted(types))}; "
            "move them to one with cast_data_device"
        )
    return tensors[0].device


def cast_data_device(data: Data, device: torch.device, out: Data | None = None) -> Data:
    """Move every tensor in (nested) containers to a device.

    Tensors that are there already are returned as they are, without a copy; values that are not
    tensors stay as they are.

    Args:
        data: A tensor, or a dict, list or tuple of tensors, nested as deep as you like.
        device: Where to.
        out: Tensors of the same structure and shapes to write into.

    Returns:
        The moved data, or `out`.

    Raises:
        ValueError: `out` has another structure than `data`.

    Example:
        >>> cast_data_device([torch.ones(2), "name"], torch.device("cpu"))
        [tensor([1., 1.]), 'name']
    """
    device = torch.device(device)
    if out is None:
        return map_leaves(torch.Tensor, lambda tensor: tensor.to(device), data)
    _copy_into(out, data, device)
    return out


def _copy_into(out: Data, data: Data, device: torch.device) -> None:
    if isinstance(data, torch.Tensor):
        _copy_tensor(out, data, device)
        return
    sources, targets = _items(data), _items(out)
    if sources.keys() != targets.keys():
        raise ValueError(f"out has the items {list(targets)}, but data {list(sources)}")
    for key, source in sources.items():
        _copy_into(targets[key], source, device)


def _copy_tensor(out: Data, data: torch.Tensor, device: torch.device) -> None:
    if not isinstance(out, torch.Tensor):
        raise ValueError(f"out has a {type(out).__name__} where data has a tensor")
    if out.shape != data.shape:
        raise ValueError(f"out has shape {tuple(out.shape)}, but data {tuple(data.shape)}")
    if out.device.type != device.type:
        raise ValueError(f"out is on {out.device}, but {device} is asked for")
    out.copy_(data)


def _items(data: Data) -> dict[Any, Any]:
    if isinstance(data, Mapping):
        return dict(data)
    return dict(enumerate(data)) if isinstance(data, list | tuple) else {}


def flatten(tensors: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Copy tensors of one dtype into a new 1-D tensor on a device."""
    return torch.cat([tensor.detach().reshape(-1).to(device) for tensor in tensors])


def unflatten_into(tensors: Sequence[torch.Tensor], flat: torch.Tensor) -> None:
    """Write back, in place, what `flatten` put together."""
    sizes = [tensor.numel() for tensor in tensors]
    for tensor, part in zip(tensors, torch.split(flat, sizes), strict=True):
        tensor.detach().copy_(part.view(tensor.shape))


def group_by_dtype(tensors: Sequence[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Sort tensors into lists of equal dtype, in the order in which the dtypes first appear."""
    groups: dict[torch.dtype, list[torch.Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor)
    return list(groups.values())
