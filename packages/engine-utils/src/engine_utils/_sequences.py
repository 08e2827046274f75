"""Check, convert, join and cut lists and tuples."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, TypeVar, cast

_T = TypeVar("_T")
_Types = type | tuple[type, ...]


def is_str(x: object) -> bool:
    """Return whether a value is a string."""
    return isinstance(x, str)


def is_seq_of(seq: object, expected_type: _Types, seq_type: type | None = None) -> bool:
    """Return whether a value is a sequence and all its items have a type.

    Args:
        seq: The value.
        expected_type: The type of the items, or several.
        seq_type: The type of the sequence; by default any.

    Example:
        >>> is_seq_of(["a", "b"], str), is_seq_of(["a", 1], str)
        (True, False)
    """
    if not isinstance(seq, seq_type or Sequence):
        return False
    return all(isinstance(item, expected_type) for item in cast("Sequence[object]", seq))


def is_list_of(seq: object, expected_type: _Types) -> bool:
    """Return whether a value is a list and all its items have a type."""
    return is_seq_of(seq, expected_type, seq_type=list)


def is_tuple_of(seq: object, expected_type: _Types) -> bool:
    """Return whether a value is a tuple and all its items have a type."""
    return is_seq_of(seq, expected_type, seq_type=tuple)


def iter_cast(
    inputs: Iterable[Any], dst_type: type, return_type: Callable[[Iterator[Any]], Any] | None = None
) -> Any:
    """Convert each item of an iterable to a type.

    Args:
        inputs: The items.
        dst_type: The type, called with each item.
        return_type: The type of the result, e.g. ``list``; by default an iterator.

    Raises:
        TypeError: ``inputs`` cannot be iterated, or ``dst_type`` is not a type.

    Example:
        >>> iter_cast(["1", "2"], int, tuple)
        (1, 2)
    """
    if not isinstance(inputs, Iterable):
        raise TypeError(f"inputs must be iterable, got {type(inputs).__name__}: {inputs!r}")
    if not isinstance(dst_type, type):
        raise TypeError(f"dst_type must be a type, got {dst_type!r}")
    converted = map(dst_type, inputs)
    return converted if return_type is None else return_type(converted)


def list_cast(inputs: Iterable[Any], dst_type: type[_T]) -> list[_T]:
    """Return a list of the items, each converted to a type."""
    return cast(list[_T], iter_cast(inputs, dst_type, list))


def tuple_cast(inputs: Iterable[Any], dst_type: type[_T]) -> tuple[_T, ...]:
    """Return a tuple of the items, each converted to a type."""
    return cast(tuple[_T, ...], iter_cast(inputs, dst_type, tuple))


def concat_list(in_list: Iterable[Iterable[_T]]) -> list[_T]:
    """Join lists into one.

    Example:
        >>> concat_list([[1, 2], [3]])
        [1, 2, 3]
    """
    return list(chain.from_iterable(in_list))


def slice_list(in_list: list[_T], lens: int | Sequence[int]) -> list[list[_T]]:
    """Cut a list into parts.

    Args:
        in_list: The list.
        lens: One length for all parts, or a list with the length of each part.

    Raises:
        TypeError: ``lens`` is of another type.
        ValueError: The sum of the lengths is not the length of the list.

    Example:
        >>> slice_list([1, 2, 3], [1, 2])
        [[1], [2, 3]]
    """
    if isinstance(lens, int):
        if lens < 1 or len(in_list) % lens:
            raise ValueError(f"lens must divide the length of the list, {len(in_list)}, got {lens}")
        lens = [lens] * (len(in_list) // lens)
    if not is_seq_of(lens, int):
        raise TypeError(f"lens must be an integer or a list of integers, got {lens!r}")
    if min(lens, default=0) < 0:
        raise ValueError(f"each of lens must be >= 0, got {list(lens)}")
    if sum(lens) != len(in_list):
        raise ValueError(
            f"the sum of lens must be the length of the list, {len(in_list)}, "
            f"got {' + '.join(map(str, lens))} = {sum(lens)}"
        )
    items = iter(in_list)
    return [[next(items) for _ in range(size)] for size in lens]


def to_ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that converts its argument to a tuple of ``n`` items.

    Returns:
        A function of one argument. A single value, or a string, is repeated ``n`` times. Any other
        iterable must have ``n`` items, or the function raises ``ValueError``.

    Example:
        >>> to_ntuple(3)(1), to_ntuple(2)([1, 2])
        ((1, 1, 1), (1, 2))
    """

    def convert(x: Any) -> tuple[Any, ...]:
        # A string is iterable, but here it is one value.
        if isinstance(x, str) or not isinstance(x, Iterable):
            return tuple(repeat(x, n))
        items = tuple(x)
        if len(items) != n:
            raise ValueError(f"x must be one value or {n} values, got {len(items)}: {items!r}")
        return items

    return convert


def to_1tuple(x: Any) -> tuple[Any, ...]:
    """Return a tuple of 1 item; see `to_ntuple`."""
    return to_ntuple(1)(x)


def to_2tuple(x: Any) -> tuple[Any, ...]:
    """Return a tuple of 2 items; see `to_ntuple`."""
    return to_ntuple(2)(x)


def to_3tuple(x: Any) -> tuple[Any, ...]:
    """Return a tuple of 3 items; see `to_ntuple`."""
    return to_ntuple(3)(x)


def to_4tuple(x: Any) -> tuple[Any, ...]:
    """Return a tuple of 4 items; see `to_ntuple`."""
    return to_ntuple(4)(x)
