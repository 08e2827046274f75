"""Types, casts and slices of sequences."""

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from engine_utils import (
    concat_list,
    is_list_of,
    is_seq_of,
    is_str,
    is_tuple_of,
    iter_cast,
    list_cast,
    slice_list,
    to_1tuple,
    to_2tuple,
    to_3tuple,
    to_4tuple,
    to_ntuple,
    tuple_cast,
)


@pytest.mark.parametrize(
    ("seq", "kind", "seq_type", "expected"),
    [
        (["a", "b"], str, None, True),
        (("a", 1), str, None, False),
        (("a", 1), (str, int), None, True),
        ([], str, None, True),
        ([1], int, list, True),
        ([1], int, tuple, False),
        ("ab", str, None, True),
        ({1}, int, None, False),
        (3, int, None, False),
    ],
)
def test_is_seq_of(seq: Any, kind: Any, seq_type: type | None, expected: bool) -> None:
    assert is_seq_of(seq, kind, seq_type) is expected


def test_is_list_of_and_is_tuple_of_check_the_type() -> None:
    assert is_list_of([1.0], float)
    assert not is_list_of((1.0,), float)
    assert is_tuple_of((1.0,), float)
    assert not is_tuple_of([1.0], float)


def test_is_str() -> None:
    assert is_str("a")
    assert not is_str(b"a")


def test_casts_convert_each_item() -> None:
    assert list_cast("123", int) == [1, 2, 3]
    assert tuple_cast([1, 2], str) == ("1", "2")
    assert iter_cast([1, 2], float, deque) == deque([1.0, 2.0])
    assert next(iter_cast([1], str)) == "1"


@pytest.mark.parametrize(
    ("args", "message"),
    [((3, int), "inputs must be iterable"), (([1], "int"), "dst_type must be a type")],
)
def test_casts_of_wrong_types_raise(args: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        iter_cast(*args)


def test_concat_and_slice_are_inverse() -> None:
    parts = [[1, 2], [], [3]]
    assert slice_list(concat_list(parts), [2, 0, 1]) == parts
    assert slice_list([1, 2, 3, 4], 2) == [[1, 2], [3, 4]]


@pytest.mark.parametrize("lens", [[1, 3], 2, 0, -1, [-1, 4]])
def test_slice_list_with_wrong_lengths_raises(lens: Any) -> None:
    with pytest.raises(ValueError, match=r"lens must|of lens"):
        slice_list([1, 2, 3], lens)


def test_slice_list_with_lengths_of_another_type_raises() -> None:
    with pytest.raises(TypeError, match="lens must be an integer or a list of integers"):
        slice_list([1, 2, 3], "3")  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize(
    ("convert", "n"), [(to_1tuple, 1), (to_2tuple, 2), (to_3tuple, 3), (to_4tuple, 4)]
)
def test_to_tuple_repeats_one_value_and_keeps_many(
    convert: Callable[[Any], tuple[Any, ...]], n: int
) -> None:
    assert convert(5) == (5,) * n
    assert convert("same") == ("same",) * n
    assert convert(list(range(n))) == tuple(range(n))
    with pytest.raises(ValueError, match=f"x must be one value or {n} values, got "):
        convert(range(n + 1))


def test_to_ntuple_returns_a_function() -> None:
    assert to_ntuple(5)(None) == (None,) * 5
