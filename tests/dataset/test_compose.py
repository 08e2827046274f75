"""Compose."""

from collections.abc import Iterator
from typing import Any

import pytest

from engine_dataset import Compose
from engine_dataset.base_dataset import Compose as DocumentedCompose
from engine_registry import TRANSFORMS


class Add:
    """Add a number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, value: int) -> int:
        return value + self.number

    def __repr__(self) -> str:
        return f"Add({self.number})"


@pytest.fixture
def _registered() -> Iterator[None]:
    TRANSFORMS.register_module(name="DatasetTestAdd", module=Add)
    TRANSFORMS.register_module(name="dataset_test_zero", module=int)
    yield
    for name in ("DatasetTestAdd", "dataset_test_zero"):
        TRANSFORMS._module_dict.pop(name, None)


def test_compose_applies_callables_in_order() -> None:
    assert Compose([Add(1), lambda value: value * 10])(2) == 30


@pytest.mark.parametrize("transforms", [None, [], ()], ids=["none", "list", "tuple"])
def test_compose_of_nothing_changes_nothing(transforms: Any) -> None:
    sample = {"a": 1}
    assert Compose(transforms)(sample) is sample


@pytest.mark.usefixtures("_registered")
def test_compose_builds_configs_without_changing_them() -> None:
    config = {"type": "DatasetTestAdd", "number": 5}
    assert Compose([config, {"type": Add, "number": 1}])(0) == 6
    assert config == {"type": "DatasetTestAdd", "number": 5}


def test_compose_stops_at_none() -> None:
    reached: list[int] = []
    assert Compose([lambda sample: None, reached.append])(1) is None
    assert reached == []


@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize("transform", [3, {"type": "dataset_test_zero"}], ids=["number", "config"])
def test_compose_raises_for_objects_that_are_not_callable(transform: Any) -> None:
    with pytest.raises(TypeError, match="a transform must be a callable"):
        Compose([transform])


def test_compose_names_the_transform_that_fails() -> None:
    with pytest.raises(TypeError) as caught:
        Compose([Add(1), Add(2)])("text")
    assert caught.value.__notes__ == ["in the transform Add(1) of a pipeline"]


def test_compose_shows_its_transforms() -> None:
    assert repr(Compose([Add(1), Add(2)])) == "Compose(\n    Add(1)\n    Add(2)\n)"


def test_compose_is_where_the_documentation_imports_it_from() -> None:
    assert DocumentedCompose is Compose
