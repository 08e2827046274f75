"""Calls checked against signatures, and values against annotations."""

import collections.abc
import functools
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional, Union

import pytest

from engine_utils import ManagerMixin, call_mistakes, fits_annotation


def resize(width: int, height: int = 1, *, mode: str | None = None) -> None: ...


def messages(target: Callable[..., Any], **arguments: Any) -> list[str]:
    return [mistake.message for mistake in call_mistakes(target, arguments)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"width": 2, "mode": "area"}, []),
        ({"width": 2, "mod": "area"}, ["resize has no argument 'mod'; did you mean 'mode'?"]),
        (
            {"width": 2, "gamma": 3},
            ["resize has no argument 'gamma'; it takes: width, height, mode"],
        ),
        ({}, ["resize needs the argument 'width'"]),
        ({"width": "2"}, ["width of resize must be int, got '2'"]),
        ({"width": 2, "mode": 3}, ["mode of resize must be str | None, got 3"]),
    ],
    ids=["right", "misspelled", "unknown", "missing", "wrong-type", "wrong-optional"],
)
def test_call_mistakes_names_each_argument_that_does_not_fit(
    arguments: dict[str, Any], expected: list[str]
) -> None:
    assert messages(resize, **arguments) == expected


def test_call_mistakes_reports_all_at_once_with_their_kinds() -> None:
    found = [(m.key, m.kind) for m in call_mistakes(resize, {"heigth": 1, "mode": 2})]
    assert found == [
        ("heigth", "unknown argument"),
        ("width", "missing argument"),
        ("mode", "wrong type"),
    ]


def test_call_mistakes_suggests_an_argument_that_is_not_set_yet() -> None:
    def blur(size: int, size_y: int = 1) -> None: ...

    assert messages(blur, size=1, sizey=2) == [
        "blur has no argument 'sizey'; did you mean 'size_y'?"
    ]
    assert messages(resize, width=1, widht=2) == [
        "resize has no argument 'widht'; did you mean 'width'?"
    ]


def test_call_mistakes_suggests_a_set_argument_for_one_more_letter() -> None:
    def load(batch_size: int = 1, batch_sampler: object = None) -> None: ...

    assert messages(load, batch_size=1, batch_sizes=2) == [
        "load has no argument 'batch_sizes'; did you mean 'batch_size'?"
    ]


def test_call_mistakes_counts_arguments_bound_by_a_partial() -> None:
    assert messages(functools.partial(resize, width=1), height=2) == []
    assert messages(functools.partial(resize, 1), height="2") == [
        "height of resize must be int, got '2'"
    ]


def test_call_mistakes_passes_opaque_values() -> None:
    class Later:
        pass

    class LaterText(str):
        pass

    assert list(call_mistakes(resize, {"width": LaterText()}, opaque=(Later, LaterText))) == []
    assert list(call_mistakes(resize, {"width": LaterText()}, opaque=(Later,))) != []


@pytest.mark.parametrize(
    "target", [dict, print, object(), 3], ids=["dict", "print", "object", "number"]
)
def test_call_mistakes_ignores_arguments_that_it_cannot_check(target: Any) -> None:
    # `dict` and the last two have no signature; `print` has no annotations.
    assert messages(target, sep="") == []


def test_call_mistakes_passes_any_argument_of_a_target_with_kwargs() -> None:
    def build(size: int, **kwargs: Any) -> None: ...

    assert messages(build, size=1, anything=2) == []
    assert messages(build, size="1") == ["size of build must be int, got '1'"]


class Net:
    def __init__(self, depth: int) -> None: ...

    def __call__(self, image: str, *, flip: bool = False) -> None: ...

    def scale(self, factor: float) -> None: ...

    @classmethod
    def from_depth(cls, depth: int) -> None: ...

    # An annotation of the class, which is not that of the parameter of `__call__`.
    image: int


@pytest.mark.parametrize(
    ("target", "arguments", "expected"),
    [
        (Net, {"depth": "1"}, ["depth of Net must be int, got '1'"]),
        (Net(1), {"image": "a.jpg", "flip": 3}, ["flip of Net must be bool, got 3"]),
        (Net(1).scale, {"factor": "x"}, ["factor of Net.scale must be float, got 'x'"]),
        (Net.from_depth, {"depth": None}, ["depth of Net.from_depth must be int, got None"]),
        (functools.cache(resize), {"width": None}, ["width of resize must be int, got None"]),
    ],
    ids=["class", "object", "method", "class-method", "cached"],
)
def test_call_mistakes_checks_each_kind_of_callable(
    target: Any, arguments: dict[str, Any], expected: list[str]
) -> None:
    assert messages(target, **arguments) == expected


def test_call_mistakes_follows_a_decorator() -> None:
    @functools.wraps(resize)
    def wrapped(*args: Any, **kwargs: Any) -> None: ...

    assert messages(wrapped, width="1", mod="x") == [
        "resize has no argument 'mod'; did you mean 'mode'?",
        "width of resize must be int, got '1'",
    ]


def test_call_mistakes_uses_the_constructor_of_a_subclass_without_one() -> None:
    class Deep(Net):
        pass

    assert messages(Deep, depth=[1]) == ["depth of Deep must be int, got [1]"]


def test_call_mistakes_of_classes_made_by_new_and_by_a_metaclass() -> None:
    class Point(typing.NamedTuple):
        x: int

    class Recorder(ManagerMixin):
        def __init__(self, name: str, size: int = 1) -> None: ...

    assert messages(Point, y=1) == [
        "Point has no argument 'y'; it takes: x",
        "Point needs the argument 'x'",
    ]
    assert messages(Recorder, name="a", size="b") == ["size of Recorder must be int, got 'b'"]


def test_call_mistakes_uses_the_annotations_that_can_be_evaluated() -> None:
    def build(size: "int", other: "NoSuchName", broken: "1 +") -> None: ...  # type: ignore[name-defined, valid-type]  # noqa: F821, F722

    assert messages(build, size="big", other=1, broken=2) == [
        "size of build must be int, got 'big'"
    ]


def test_call_mistakes_passes_none_where_it_is_the_default() -> None:
    def build(size: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013 - older code

    assert messages(build, size=None) == []
    assert messages(build, size="x") == ["size of build must be int, got 'x'"]


def test_call_mistakes_shortens_rules_and_values() -> None:
    def build(mode: Literal["a", "b"] = "a", sizes: collections.abc.Sequence[int] = ()) -> None: ...

    assert messages(build, mode="c", sizes="x" * 100) == [
        "mode of build must be one of 'a', 'b', got 'c'",
        f"sizes of build must be Sequence[int], got '{'x' * 56}...",
    ]


class Array:
    """A value that no config file holds, as an array of NumPy."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value of an array is ambiguous")

    __hash__ = None  # type: ignore[assignment]  # as that of an array


T = typing.TypeVar("T")


@pytest.mark.parametrize(
    ("value", "annotation", "fits"),
    [
        (1, float, True),
        (1, complex, True),
        (1.5, int, False),
        (True, float, False),
        (True, int, True),
        (1, bool, False),
        (b"a", str, False),
        (None, str, False),
        (None, None, True),
        (0, None, False),
        (None, Optional[str], True),  # noqa: UP045 - the form of older code
        (3, Union[str, list[int]], False),  # noqa: UP007 - as above
        (3, Annotated[str, "doc"], False),
        ("b", Literal["a", "b"], True),
        ("c", Literal["a", "b"], False),
        ([1, 2], tuple[int, ...], True),
        ([1, "2"], list[int], False),
        ([1, "2"], tuple[int, str], True),
        ([1, 2], tuple[int, str], False),
        ([1, 2, 3], tuple[int, str], True),
        ([], tuple[()], True),
        ("a", list[str], False),
        ("a", collections.abc.Sequence[str], True),
        ("a", collections.abc.Sequence[int], False),
        (b"a", collections.abc.Sequence[int], True),
        (b"a", list[int], False),
        ({1, 2}, collections.abc.Iterable[int], True),
        ({1, 2}, list[int], False),
        ({"type": "Chain"}, list[int], True),
        (3, collections.abc.Iterable[int], False),
        ({"a": 1}, dict[str, int], True),
        ([("a", 1)], dict[str, int], False),
        ({"type": "Net"}, Net, True),
        (3, T, True),
        (3, collections.abc.Callable[[], int], True),
        (3, object, True),
        ("x", "unknown", True),
        (range(3), list[int], True),
        (Array(), int, True),
        (Array(), Literal["a"], True),
        ([Array()], list[int], True),
    ],
)
def test_fits_annotation(value: Any, annotation: Any, fits: bool) -> None:
    assert fits_annotation(value, annotation) is fits


def test_fits_annotation_passes_opaque_elements() -> None:
    class Later(str):
        pass

    assert fits_annotation([1, Later()], list[int], opaque=(Later,))
    assert not fits_annotation([1, Later()], list[int])
