"""Nested tensors: mapped, listed, moved to a device."""

from array import array
from collections import Counter, OrderedDict, UserDict, defaultdict, deque, namedtuple
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
import torch
import torch.utils._pytree as pytree

import engine_dist as dist

Pair = namedtuple("Pair", ["first", "second"])


class Element:
    """A class with a `detach` method, registered with torch's pytree."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def detach(self) -> "Element":
        return Element("detached")


pytree.register_pytree_node(
    Element, lambda element: ([element.value], None), lambda values, _: Element(next(iter(values)))
)


class Named(list[Any]):
    """A list with an attribute and other constructor arguments."""

    def __init__(self, name: str, values: list[Any]) -> None:
        super().__init__(values)
        self.name = name


class Frozen(Mapping[str, Any]):
    """A mapping that is built from a dict."""

    def __init__(self, items: dict[str, Any]) -> None:
        self.items_of = items

    def __getitem__(self, key: str) -> Any:
        return self.items_of[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.items_of)

    def __len__(self) -> int:
        return len(self.items_of)


class Items(Sequence[Any]):
    """A sequence that is built from a list."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


def double(tensor: torch.Tensor) -> torch.Tensor:
    return 2 * tensor


def one() -> torch.Tensor:
    return torch.tensor(1)


CONTAINERS: dict[str, Any] = {
    "dict": lambda item: {"a": item, "b": "text"},
    "ordered": lambda item: OrderedDict(a=item, b=2),
    "defaultdict": lambda item: defaultdict(list, a=item),
    "counter": lambda item: Counter(a=item),
    "user-dict": lambda item: UserDict(a=item),
    "proxy": lambda item: MappingProxyType({"a": item}),
    "mapping": lambda item: Frozen({"a": item}),
    "list": lambda item: [item, None, 3.5],
    "tuple": lambda item: (item, b"x"),
    "named-tuple": lambda item: Pair(item, "b"),
    "list-of-a-class": lambda item: Named("name", [item, 1]),
    "sequence": lambda item: Items([item, 1]),
    "deque": lambda item: deque([item], maxlen=3),
    "registered": Element,
}


def flat(data: Any) -> list[Any]:
    """Return the values of a container of any type."""
    if isinstance(data, Element):
        return [data.value]
    return list(data.values()) if isinstance(data, Mapping) else list(data)


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_map_replaces_tensors_and_keeps_the_type(make: Any) -> None:
    tensor = one()
    data = make(tensor)

    mapped = dist.map_tensors(double, data)

    assert type(mapped) is type(data)
    assert mapped is not data
    assert flat(mapped)[0] == 2
    assert flat(mapped)[1:] == flat(data)[1:]
    assert flat(data)[0] is tensor
    assert tensor == 1


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_map_returns_a_container_itself_where_nothing_changed(make: Any) -> None:
    data = make(make(one()))

    assert dist.map_tensors(lambda tensor: tensor, data) is data


def test_map_replaces_only_the_containers_on_the_way_to_a_change() -> None:
    data: dict[str, Any] = {"names": ["a"], "deep": [{"x": one()}, {"y": 3}]}

    mapped = dist.map_tensors(double, data)

    assert mapped == {"names": ["a"], "deep": [{"x": 2}, {"y": 3}]}
    assert mapped["names"] is data["names"]
    assert mapped["deep"][1] is data["deep"][1]
    assert data["deep"][0]["x"] == 1


def test_map_keeps_what_subclasses_hold() -> None:
    mapped = dist.map_tensors(double, CONTAINERS["defaultdict"](one()))
    named = dist.map_tensors(double, Named("name", [one()]))
    queue = dist.map_tensors(double, deque([one()], maxlen=3))

    assert mapped.default_factory is list
    assert named.name == "name"
    assert queue.maxlen == 3


def test_map_with_leaves_replaces_the_named_classes() -> None:
    data = {"element": Element(one()), "tensor": one()}

    mapped = dist.map_tensors(lambda leaf: leaf.detach(), data, leaves=(torch.Tensor, Element))

    assert mapped["element"].value == "detached"
    assert mapped["tensor"] == 1


def test_map_with_copy_builds_new_dicts_and_lists() -> None:
    data: dict[str, Any] = {"a": [1, {"b": 2}], "c": OrderedDict(d=3), "e": Named("name", [1])}

    copied = dist.map_tensors(double, data, copy=True)

    assert copied == data
    assert copied is not data
    for key in data:
        assert copied[key] is not data[key]
        assert type(copied[key]) is type(data[key])
    assert copied["a"][1] is not data["a"][1]


@pytest.mark.parametrize(
    "value",
    ["text", b"bytes", 3, None, {1, 2}, range(3), array("i", [1]), SimpleNamespace(x=1), object()],
    ids=lambda value: type(value).__name__,
)
def test_map_returns_other_values_unchanged(value: Any) -> None:
    assert dist.map_tensors(double, value, copy=True) is value
    assert dist.map_tensors(double, [value])[0] is value


def test_get_data_device_returns_the_device_of_all_tensors() -> None:
    data = {"a": torch.zeros(1), "b": [torch.zeros(1), "text"]}

    assert dist.get_data_device(data) == torch.device("cpu")


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({}, ValueError, "no tensor in this dict"),
        ("text", TypeError, "got str"),
        ([torch.zeros(1), torch.zeros(1, device="meta")], ValueError, "cpu, meta"),
    ],
    ids=["empty", "text", "mixed"],
)
def test_get_data_device_of_undefined_devices_raises(
    data: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        dist.get_data_device(data)


def test_cast_moves_nested_tensors_and_keeps_the_rest() -> None:
    data: dict[str, Any] = {"a": torch.zeros(2), "b": (torch.ones(1), "text", 3)}

    moved = dist.cast_data_device(data, torch.device("meta"))

    assert moved["a"].device.type == moved["b"][0].device.type == "meta"
    assert moved["b"][1:] == ("text", 3)
    assert data["a"].device.type == "cpu"


def test_cast_to_the_same_device_copies_nothing() -> None:
    data = torch.zeros(2)

    assert dist.cast_data_device(data, torch.device("cpu")) is data


def test_cast_writes_into_out() -> None:
    data = {"a": [torch.ones(2)], "b": torch.tensor(3.0)}
    out = {"b": torch.tensor(0.0), "a": [torch.zeros(2)]}

    result = dist.cast_data_device(data, torch.device("cpu"), out=out)

    assert result is out
    assert out["a"][0].tolist() == [1.0, 1.0]
    assert out["b"] == 3


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ([torch.zeros(3)], r"out has shape \(3,\), but data \(2,\)"),
        ([], "out has the items"),
        (["text"], "out has a str where data has a tensor"),
        ([torch.zeros(2, device="meta")], "out must be on cpu, got a tensor on meta"),
    ],
    ids=["shape", "length", "leaf", "device"],
)
def test_cast_into_out_of_another_structure_raises(out: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dist.cast_data_device([torch.ones(2)], torch.device("cpu"), out=out)
