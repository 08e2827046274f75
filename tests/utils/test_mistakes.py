"""Closest names, calls checked against signatures, missing extras and plain values."""

import functools
from typing import Any

import pytest

from engine_utils import (
    call_mistakes,
    closest_name,
    closest_names,
    did_you_mean,
    fits_annotation,
    import_extra,
    plain_value,
)


def resize(width: int, height: int = 1, *, mode: str | None = None) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ({"width": 2, "mode": "area"}, []),
        ({"width": 2, "mod": "area"}, ["resize has no argument 'mod'; did you mean 'mode'?"]),
        (
            {"width": 2, "colour": 3},
            ["resize has no argument 'colour'; it takes: width, height, mode"],
        ),
        ({}, ["resize needs the argument 'width'"]),
        ({"width": "2"}, ["width of resize must be int, got '2'"]),
    ],
    ids=["right", "misspelt", "unknown", "missing", "wrong-type"],
)
def test_call_mistakes_names_each_argument_that_does_not_fit(
    arguments: dict[str, Any], messages: list[str]
) -> None:
    assert [mistake.message for mistake in call_mistakes(resize, arguments)] == messages


def test_call_mistakes_counts_arguments_bound_by_a_partial() -> None:
    assert list(call_mistakes(functools.partial(resize, width=1), {"height": 2})) == []


def test_call_mistakes_passes_opaque_values_and_callables_without_signature() -> None:
    class Later:
        pass

    assert list(call_mistakes(resize, {"width": Later()}, opaque=(Later,))) == []
    assert list(call_mistakes(dict, {"anything": 1})) == []


@pytest.mark.parametrize(
    ("value", "annotation", "fits"),
    [
        (1, float, True),
        (True, float, False),
        ([1, 2], tuple[int, ...], True),
        ([1, "2"], list[int], False),
        ("a", list[str], False),
        ({"a": 1}, dict[str, int], True),
        ("x", "unknown", True),
    ],
)
def test_fits_annotation(value: Any, annotation: Any, fits: bool) -> None:
    assert fits_annotation(value, annotation) is fits


def test_closest_name_returns_none_where_nothing_is_alike() -> None:
    assert closest_name("max_epoch", ["max_epochs", "lr", 3]) == "max_epochs"
    assert closest_name("model", ["lr"]) is None
    assert closest_names("train_cg", ["train_cfg", "train_cg2"], count=2) == [
        "train_cg2",
        "train_cfg",
    ]
    assert did_you_mean("model", ["lr"]) == ""


def test_import_extra_names_purpose_library_and_command() -> None:
    message = r'S3Backend needs no_such_library \(.*\); run: pip install "engine-fileio\[s3\]"'
    with pytest.raises(ImportError, match=message) as raised:
        import_extra("no_such_library.part", install="engine-fileio[s3]", purpose="S3Backend")

    assert raised.value.name == "no_such_library"


def test_plain_value_converts_nested_containers() -> None:
    assert plain_value({"a": (1, {2, 1}), "b": range(2)}) == {"a": [1, [1, 2]], "b": [0, 1]}


def test_plain_value_converts_arrays_and_tensors() -> None:
    numpy = pytest.importorskip("numpy")
    torch = pytest.importorskip("torch")

    assert plain_value([numpy.float32(0.5), numpy.array([1])]) == [0.5, [1]]
    assert plain_value(torch.ones(1, requires_grad=True)) == [1.0]
    assert plain_value({"x": torch.ones(1, 1), "y": numpy.array([1])}, scalars=True) == {
        "x": 1.0,
        "y": 1,
    }
