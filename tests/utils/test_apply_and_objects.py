"""Values of nested containers that are replaced, and objects by their dotted names."""

import os.path
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import engine_utils
from engine_utils import apply_to, get_object_from_string


class Point(NamedTuple):
    x: Any
    y: Any


def _is_int(value: object) -> bool:
    return type(value) is int


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (1, -1),
        ("a", "a"),
        ([1, ["a", (2,)]], [-1, ["a", (-2,)]]),
        ({"a": {"b": 1}, "c": None}, {"a": {"b": -1}, "c": None}),
        (Point(1, [2]), Point(-1, [-2])),
        (OrderedDict(a=1), OrderedDict(a=-1)),
        (defaultdict(int, a=1), defaultdict(int, a=-1)),
    ],
    ids=["value", "other", "list", "dict", "named", "ordered", "default"],
)
def test_apply_to_replaces_what_meets_the_condition(data: Any, expected: Any) -> None:
    found = apply_to(data, _is_int, lambda value: -value)

    assert found == expected
    assert type(found) is type(expected)


def test_apply_to_leaves_the_given_containers_as_they_are() -> None:
    data = {"a": [1], "b": defaultdict(int, {"c": 2})}

    found = apply_to(data, _is_int, str)

    assert data == {"a": [1], "b": {"c": 2}}
    assert found["b"].default_factory is int


def test_apply_to_replaces_a_container_without_searching_it() -> None:
    assert apply_to([{"x": 1}], lambda value: isinstance(value, dict), len) == [1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("os", os),
        ("os.path", os.path),
        ("os.path.join", os.path.join),
        ("collections.OrderedDict.fromkeys", OrderedDict.fromkeys),
        ("engine_utils.apply_to", engine_utils.apply_to),
        ("engine_utils.no_such", None),
        ("os.path.join.no_such", None),
        ("no_such_module", None),
        ("no_such_module.name", None),
    ],
)
def test_get_object_from_string_finds_the_object(name: str, expected: Any) -> None:
    assert get_object_from_string(name) == expected


def test_get_object_from_string_prefers_the_attribute_to_the_submodule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package_of_objects"
    package.mkdir()
    (package / "__init__.py").write_text("from package_of_objects.nms import nms\n")
    (package / "nms.py").write_text("def nms(): return 'the function'\n")
    (package / "broken.py").write_text("import no_such_module_at_all\n")
    (package / "apart.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert get_object_from_string("package_of_objects.nms")() == "the function"
    assert get_object_from_string("package_of_objects.apart.value") == 3
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        get_object_from_string("package_of_objects.broken.value")


@pytest.mark.parametrize(("name", "error"), [(3, TypeError), ("", ValueError), (".a", ValueError)])
def test_get_object_from_string_of_no_name_raises(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="obj_name must be"):
        get_object_from_string(name)
