"""Stack tensors of different sizes to one batch."""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor


def stack_batch(
    tensor_list: Sequence[Tensor], pad_size_divisor: int = 1, pad_value: float = 0
) -> Tensor:
    """Stack tensors ``(C, ...)`` to one batch ``(N, C, ...)``, padded at the end of each dimension.

    The size of each padded dimension is the largest size among the tensors, rounded up to a
    multiple of ``pad_size_divisor``. The first dimension, the channels, is not padded.

    Args:
        tensor_list: At least one tensor, all with the same numbers of dimensions and channels.
        pad_size_divisor: The divisor of the padded sizes; below 2, sizes are not rounded.
        pad_value: The value of the padding.

    Returns:
        A new tensor, of the data type to which the tensors promote.

    Raises:
        TypeError: ``tensor_list`` is not a list or tuple of tensors.
        ValueError: ``tensor_list`` is empty, or the tensors differ in channels or in number of
            dimensions.

    Example:
        >>> stack_batch([torch.ones(1, 1, 2), torch.ones(1, 2, 1)]).tolist()
        [[[[1.0, 1.0], [0.0, 0.0]]], [[[1.0, 0.0], [1.0, 0.0]]]]
    """
    tensors = _checked(tensor_list)
    sizes = [tuple(tensor.shape[1:]) for tensor in tensors]
    padded = [_round_up(max(along), pad_size_divisor) for along in zip(*sizes, strict=True)]
    if all(size == tuple(padded) for size in sizes):  # one kernel instead of one per tensor
        return torch.stack(tensors)
    batch = tensors[0].new_full(
        (len(tensors), tensors[0].shape[0], *padded),
        pad_value,
        dtype=reduce(torch.promote_types, {tensor.dtype for tensor in tensors}),
    )
    for index, tensor in enumerate(tensors):
        place = batch[index]
        for dimension, length in enumerate(tensor.shape[1:], start=1):
            place = place.narrow(dimension, 0, length)
        place.copy_(tensor)
    return batch


def _round_up(size: int, divisor: int) -> int:
    # The floor division of a negative number rounds up.
    return size if divisor < 2 else -(-size // divisor) * divisor


def _checked(tensors: object) -> list[Tensor]:
    """Return the tensors as a list.

    Raises:
        TypeError: ``tensors`` is not a list or tuple of tensors.
        ValueError: The tensors do not fit into one batch.
    """
    if not isinstance(tensors, list | tuple):
        raise TypeError(f"tensor_list must be a list of tensors, got {type(tensors).__name__}")
    if not tensors:
        raise ValueError("tensor_list must have at least one tensor, got an empty list")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"tensor_list must have tensors only, got a {type(tensor).__name__}")
    kinds = {(tensor.dim(), *tensor.shape[:1]) for tensor in tensors}
    if len(kinds) > 1:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise ValueError(
            f"tensors of one batch must have equally many dimensions and channels, got {shapes}"
        )
    return list(tensors)
