"""Collate a list of samples to a batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.utils.data._utils.collate as torch_collate

from engine_registry import COLLATE_FUNCTIONS
from engine_structures import BaseDataElement


def _keep(batch: Sequence[Any], *, collate_fn_map: object = None) -> list[Any]:
    return list(batch)


# torch looks up the type of a sample in this table first. Without this entry it would raise an
# error for data elements.
_COLLATE_TABLE = {BaseDataElement: _keep, **torch_collate.default_collate_fn_map}


@COLLATE_FUNCTIONS.register_module()
def pseudo_collate(data_batch: Sequence[Any]) -> Any:
    """Group samples field by field, without stacking.

    At any depth, dicts become a dict of lists, tuples and lists become a list with one entry per
    field, and named tuples become a named tuple of lists. Tensors, arrays, numbers, strings and
    data elements stay as they are.

    Args:
        data_batch: Samples of the same structure.

    Returns:
        The structure of one sample, with a list of ``len(data_batch)`` entries for each leaf.

    Raises:
        RuntimeError: Sequences at the same place differ in length.

    Example:
        >>> pseudo_collate([{"image": "a", "size": (1, 2)}, {"image": "b", "size": (3, 4)}])
        {'image': ['a', 'b'], 'size': [[1, 3], [2, 4]]}
    """
    sample = data_batch[0]
    if isinstance(sample, str | bytes | BaseDataElement):
        return list(data_batch)
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return type(sample)(*map(pseudo_collate, zip(*data_batch, strict=True)))
    if isinstance(sample, Mapping):
        fields = {key: pseudo_collate([one[key] for one in data_batch]) for key in sample}
        return fields if type(sample) is dict else _rebuild(sample, fields)
    if isinstance(sample, Sequence):
        return _collate_sequences(sample, data_batch)
    return list(data_batch)


def _rebuild(sample: object, content: object) -> object:
    """Return ``content`` as the type of ``sample`` if possible, as torch does."""
    rebuild: Callable[[object], object] = type(sample)
    try:
        return rebuild(content)
    except TypeError:
        return content


def _collate_sequences(sample: Sequence[Any], data_batch: Sequence[Any]) -> Any:
    lengths = sorted({len(one) for one in data_batch})
    if len(lengths) > 1:
        raise RuntimeError(
            f"samples of a batch must have the same structure, got sequences of the lengths "
            f"{lengths} at the same place; make them tensors or data elements, which are kept "
            f"whole, or register your own collate function in COLLATE_FUNCTIONS"
        )
    fields = [pseudo_collate(field) for field in zip(*data_batch, strict=True)]
    return fields if isinstance(sample, tuple | list) else _rebuild(sample, fields)


@COLLATE_FUNCTIONS.register_module()
def default_collate(data_batch: Sequence[Any]) -> Any:
    """Stack samples to a batch as torch does, and keep data elements as a list.

    Tensors are stacked along a new first dimension, inside a worker in shared memory. Arrays and
    numbers become tensors. Strings stay strings.

    Args:
        data_batch: Samples of the same structure; tensors at the same place have the same shape.

    Returns:
        The structure of one sample, with a batch in place of each leaf.

    Raises:
        RuntimeError: Tensors or sequences at the same place differ in size.
        TypeError: A leaf has a type that cannot be batched, such as ``None``.

    Example:
        >>> default_collate([{"x": 1, "name": "a"}, {"x": 2, "name": "b"}])
        {'x': tensor([1, 2]), 'name': ['a', 'b']}
    """
    kind = type(data_batch[0])
    # The usual samples, which torch would compare with each type of its table first.
    if kind is tuple and len(set(map(len, data_batch))) == 1:
        return [_torch_collate(field) for field in zip(*data_batch, strict=True)]
    if kind is dict:
        return {key: _torch_collate([one[key] for one in data_batch]) for key in data_batch[0]}
    return _torch_collate(list(data_batch))


def _torch_collate(values: Sequence[Any]) -> Any:
    return torch_collate.collate(values, collate_fn_map=_COLLATE_TABLE)
