"""Values converted to plain Python values."""

import subprocess
import sys
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest

from engine_utils import plain_value


class Point(NamedTuple):
    x: int
    y: tuple[int, ...]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": (1, {2, 1}), "b": range(2)}, {"a": [1, [1, 2]], "b": [0, 1]}),
        (OrderedDict(a=frozenset({(2, 1), (1, 2)})), {"a": [[1, 2], [2, 1]]}),
        (Point(1, (2,)), [1, [2]]),
        ({"b", "a"}, ["a", "b"]),
        (set(), []),
    ],
    ids=["nested", "frozenset", "named-tuple", "strings", "empty"],
)
def test_containers_are_converted(value: Any, expected: Any) -> None:
    result = plain_value(value)

    assert result == expected
    assert type(result) is type(expected)


def test_other_values_are_returned_unchanged() -> None:
    value = object()

    assert plain_value([value])[0] is value
    assert plain_value({value: 1}) == {value: 1}


def test_set_of_several_types_has_the_same_order_in_each_process() -> None:
    code = "from engine_utils import plain_value; print(plain_value({'b', 'a', 2, 1, None}))"

    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert printed == {"[None, 1, 2, 'a', 'b']\n"}


def test_arrays_are_converted() -> None:
    numpy = pytest.importorskip("numpy")

    result = plain_value([numpy.float32(0.5), numpy.array([1]), numpy.float64(2), {numpy.int64(3)}])

    assert result == [0.5, [1], 2.0, [3]]
    assert [type(result[0]), type(result[2]), type(result[3][0])] == [float, float, int]
    assert plain_value(numpy.array(3)) == 3
    assert plain_value(numpy.array([[3]]), scalars=True) == 3
    assert plain_value(numpy.array([3, 4]), scalars=True) == [3, 4]


def test_tensors_are_converted() -> None:
    torch = pytest.importorskip("torch")

    assert plain_value(torch.ones(1, requires_grad=True)) == [1.0]
    assert plain_value(torch.tensor(2, dtype=torch.bfloat16)) == 2.0
    assert plain_value({"x": [torch.ones(1, 1)]}, scalars=True) == {"x": [1.0]}
    assert plain_value({"x": (torch.ones(2),)}, scalars=True) == {"x": [[1.0, 1.0]]}
