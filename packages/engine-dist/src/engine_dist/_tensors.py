"""Replace, list, move and flatten the tensors in nested containers."""

import copy as copying
from array import array
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from operator import is_not
from typing import Any, TypeAlias, TypeVar, overload

import torch
import torch.utils._pytree as pytree

L = TypeVar("L")

Data: TypeAlias = Any
"""A tensor, or nested dicts, lists, tuples and classes of torch's pytree, with tensors inside."""

_Leaves: TypeAlias = type | tuple[type, ...]

# Most values other than tensors have these types. Check the exact type first: it is one look-up.
_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None)})
# Sequences of plain values, which may be long. They cannot contain a leaf, so skip them.
_FLAT = (str, bytes, bytearray, memoryview, range, array)


@overload
def map_tensors(
    function: Callable[[torch.Tensor], Any], data: Data, *, copy: bool = False
) -> Data: ...
@overload
def map_tensors(
    function: Callable[[L], Any], data: Data, *, leaves: type[L], copy: bool = False
) -> Data: ...
@overload  # mypy joins the classes of a tuple to `object`, not to a union
def map_tensors(
    function: Callable[[Any], Any], data: Data, *, leaves: tuple[type, ...], copy: bool = False
) -> Data: ...
def map_tensors(
    function: Callable[[Any], Any],
    data: Data,
    *,
    leaves: _Leaves = torch.Tensor,
    copy: bool = False,
) -> Data:
    """Replace each tensor in nested containers by the result of a function.

    Mappings, sequences and named tuples keep their type; a ``defaultdict`` keeps its factory.
    Objects of a class that is registered with torch's pytree are converted too, unless the class is
    among ``leaves``. Sets, arrays and all other objects are returned unchanged.

    Args:
        function: Receives each leaf and returns its replacement, or the leaf itself to keep it.
        data: A tensor, or nested containers of tensors and anything else.
        leaves: The class of the values to replace, or a tuple of classes. Name classes with a
            ``.to`` or ``.detach`` of their own here, so that they are replaced as a whole.
        copy: Whether to copy dicts and lists in which nothing changed. By default such a container
            is returned itself.

    Returns:
        Data of the same structure. The given containers are never changed.

    Example:
        >>> batch = {"image": torch.ones(2, dtype=torch.int64), "names": ["a", "b"]}
        >>> halves = map_tensors(lambda tensor: tensor / 2, batch)
        >>> halves
        {'image': tensor([0.5000, 0.5000]), 'names': ['a', 'b']}
        >>> halves["names"] is batch["names"]
        True
    """
    return _map(data, function, leaves, copy)


def _map(data: Any, function: Callable[[Any], Any], leaves: _Leaves, copy: bool) -> Any:
    # Exact built-in types first: `isinstance` with an abstract class takes ten times as long.
    kind = type(data)
    if kind in _PLAIN:
        return data
    if kind is dict:
        items = {
            key: value if type(value) in _PLAIN else _map(value, function, leaves, copy)
            for key, value in data.items()
        }
        return items if copy or any(map(is_not, items.values(), data.values())) else data
    if kind is list or kind is tuple:
        values = [
            value if type(value) in _PLAIN else _map(value, function, leaves, copy)
            for value in data
        ]
        if not copy and not any(map(is_not, values, data)):
            return data
        return values if kind is list else tuple(values)
    return _map_other(data, function, leaves, copy)


def _map_other(data: Any, function: Callable[[Any], Any], leaves: _Leaves, copy: bool) -> Any:
    if isinstance(data, leaves):
        return function(data)
    if isinstance(data, Mapping):
        items = {key: _map(value, function, leaves, copy) for key, value in data.items()}
        return _like_mapping(data, items, copy)
    if isinstance(data, list | tuple):
        values = [_map(value, function, leaves, copy) for value in data]
        if _same(values, data):
            return copying.copy(data) if copy else data
        return _like_sequence(data, values)
    # One level at a time with torch's table: torch's tree functions skip unregistered containers
    # inside.
    if (node := pytree.SUPPORTED_NODES.get(type(data))) is not None:
        children, context = node.flatten_fn(data)
        values = [_map(child, function, leaves, copy) for child in children]
        changed = copy or not _same(values, children)
        return node.unflatten_fn(values, context) if changed else data
    if isinstance(data, Sequence) and not isinstance(data, _FLAT):
        values = [_map(value, function, leaves, copy) for value in data]
        return data if _same(values, data) else _like_sequence(data, values)
    return data


def _same(new: Iterable[Any], old: Iterable[Any]) -> bool:
    """Return whether all values are identical objects."""
    return not any(map(is_not, new, old))


def _like_mapping(original: Mapping[Any, Any], items: dict[Any, Any], copy: bool) -> Any:
    changed = [key for key, value in original.items() if items[key] is not value]
    if not changed and not copy:
        return original
    # A copy keeps the factory of a defaultdict and other attributes of a subclass. A shallow copy
    # of another mapping would share its content, unless the class defines __copy__.
    if isinstance(original, dict) or (
        isinstance(original, MutableMapping) and hasattr(original, "__copy__")
    ):
        result = copying.copy(original)
        for key in changed:  # not `update`, which adds for a Counter
            result[key] = items[key]
        return result
    return type(original)(items) if changed else original  # type: ignore[call-arg]  # as usual


def _like_sequence(original: Sequence[Any], values: list[Any]) -> Any:
    if isinstance(original, tuple) and hasattr(original, "_make"):
        return original._make(values)  # a subclass may take other arguments than its fields
    if isinstance(original, list):
        result = copying.copy(original)  # keeps the attributes of a subclass
        result[:] = values
        return result
    return type(original)(values)  # type: ignore[call-arg]  # as sequences are usually built


def list_tensors(data: Data) -> list[torch.Tensor]:
    """Return the tensors in nested containers, in the order of the containers."""
    tensors: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        tensors.append(tensor)
        return tensor  # unchanged, so that no container is copied

    map_tensors(note, data)
    return tensors


def get_data_device(data: Data) -> torch.device:
    """Return the device of a tensor, or of the tensors in nested containers.

    Args:
        data: A tensor, or a sequence or dict of tensors, nested to any depth.

    Raises:
        TypeError: ``data`` is neither a tensor nor a container.
        ValueError: ``data`` contains no tensor, or tensors on different types of device.

    Example:
        >>> get_data_device({"image": torch.zeros(3), "boxes": [torch.ones(2, 4)]})
        device(type='cpu')
    """
    if not isinstance(data, torch.Tensor | Mapping | Sequence) or isinstance(data, str | bytes):
        raise TypeError(f"data must be a tensor, sequence or dict, got {type(data).__name__}")
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
    """Move every tensor in nested containers to a device.

    Tensors that are on the device already are not copied. Other values are returned unchanged.

    Args:
        data: A tensor, or a dict, list or tuple of tensors, nested to any depth.
        device: The target device.
        out: Tensors of the same structure and shapes to write into.

    Returns:
        The moved data, or ``out``.

    Raises:
        ValueError: ``out`` has another structure than ``data``.

    Example:
        >>> cast_data_device([torch.ones(2), "name"], torch.device("cpu"))
        [tensor([1., 1.]), 'name']
    """
    device = torch.device(device)
    if out is None:
        return map_tensors(lambda tensor: tensor.to(device), data, copy=True)
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
        raise ValueError(f"out must be on {device}, got a tensor on {out.device}")
    out.copy_(data)


def _items(data: Data) -> dict[Any, Any]:
    if isinstance(data, Mapping):
        return dict(data)
    return dict(enumerate(data)) if isinstance(data, list | tuple) else {}


def view_bytes(tensor: torch.Tensor) -> torch.Tensor:
    """View the memory of a contiguous tensor as uint8, shape ``(n,)``."""
    flat = tensor.view(-1)
    # A tensor of 0 or 1 elements is contiguous with any stride, but `view` of a dtype requires
    # stride 1.
    if flat.stride(0) != 1:
        flat = flat.as_strided(flat.shape, (1,))
    return flat.view(torch.uint8)


def flatten(tensors: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Copy tensors of one dtype into a new 1-D tensor on a device."""
    return torch.cat([tensor.detach().reshape(-1).to(device) for tensor in tensors])


def unflatten_into(tensors: Sequence[torch.Tensor], flat: torch.Tensor) -> None:
    """Copy a tensor that `flatten` returned back into the tensors, in place."""
    sizes = [tensor.numel() for tensor in tensors]
    for tensor, part in zip(tensors, torch.split(flat, sizes), strict=True):
        tensor.detach().copy_(part.view(tensor.shape))


def group_by_dtype(tensors: Sequence[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Group tensors into lists of equal dtype, in the order in which the dtypes first appear."""
    groups: dict[torch.dtype, list[torch.Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor)
    return list(groups.values())
