"""ConcatDataset, RepeatDataset, ClassBalancedDataset and force_full_init."""

import math
import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_dataset import (
    BaseDataset,
    ClassBalancedDataset,
    ConcatDataset,
    RepeatDataset,
    force_full_init,
)
from engine_registry import DATASETS

Make = Callable[..., Any]
Wrappers = pytest.mark.parametrize(
    "wrap",
    [
        lambda dataset, **options: ConcatDataset([dataset, dataset], **options),
        lambda dataset, **options: RepeatDataset(dataset, 2, **options),
        lambda dataset, **options: ClassBalancedDataset(dataset, 2.0, **options),
    ],
    ids=["concat", "repeat", "balanced"],
)


class Labelled(BaseDataset):
    """Samples with given categories."""

    def __init__(self, *categories: list[int], **options: Any) -> None:
        self.categories = categories
        super().__init__(**options)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"number": number} for number in range(len(self.categories))]

    def get_cat_ids(self, idx: int) -> list[int]:
        return self.categories[idx]


@Wrappers
def test_wrapper_reads_each_sample_twice(numbers: type[BaseDataset], wrap: Make) -> None:
    dataset = wrap(numbers(pipeline=[lambda record: record["value"]]))
    assert len(dataset) == 20
    assert Counter(dataset) == dict.fromkeys(range(10), 2)
    assert dataset.get_data_info(-1) == {"value": 9, "label": 1, "sample_idx": 9}
    assert dataset.get_cat_ids(-1) == [1]
    assert dataset.metainfo == {"classes": ["even", "odd"]}


@Wrappers
def test_wrapper_has_the_bounds_of_a_list(numbers: type[BaseDataset], wrap: Make) -> None:
    dataset = wrap(numbers())
    for index in (20, -21):
        with pytest.raises(IndexError, match=f"sample {index} of a .* of 20"):
            dataset[index]


@Wrappers
def test_wrapper_is_lazy(numbers: type[BaseDataset], wrap: Make) -> None:
    inner = numbers(lazy_init=True)
    dataset = wrap(inner, lazy_init=True)
    assert not inner._fully_initialized
    with pytest.warns(UserWarning, match="Please call `full_init`"):
        assert dataset[0]["value"] == 0
    assert inner._fully_initialized
    assert len(wrap(numbers(lazy_init=True), lazy_init=True)) == 20


@Wrappers
def test_wrapper_raises_for_subsets(numbers: type[BaseDataset], wrap: Make) -> None:
    dataset = wrap(numbers())
    for method in (dataset.get_subset, dataset.get_subset_):
        with pytest.raises(NotImplementedError, match="before it is wrapped"):
            method(3)


@Wrappers
def test_wrapper_metainfo_is_a_copy(numbers: type[BaseDataset], wrap: Make) -> None:
    dataset = wrap(numbers())
    dataset.metainfo["classes"].clear()
    assert dataset.metainfo == {"classes": ["even", "odd"]}


@Wrappers
def test_wrapper_raises_for_other_objects(wrap: Make) -> None:
    with pytest.raises(TypeError, match="should be config or `BaseDataset` instance, but got"):
        wrap([1, 2])


@Wrappers
def test_wrappers_nest_and_survive_pickling(numbers: type[BaseDataset], wrap: Make) -> None:
    dataset = pickle.loads(pickle.dumps(wrap(wrap(numbers()))))
    assert Counter(sample["value"] for sample in dataset) == dict.fromkeys(range(10), 4)


def test_wrappers_are_built_from_configs(numbers: type[BaseDataset]) -> None:
    config = {
        "type": "RepeatDataset",
        "times": 3,
        "dataset": {"type": "ConcatDataset", "datasets": [{"type": numbers, "indices": 2}]},
    }
    assert len(DATASETS.build(config)) == 6
    assert config["type"] == "RepeatDataset"


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_concat_is_one_list_after_the_other(sizes: list[int]) -> None:
    parts = [Labelled(*[[0]] * size) for size in sizes]
    expected = [
        {"number": number, "sample_idx": number} for size in sizes for number in range(size)
    ]
    assert list(ConcatDataset(parts)) == expected


def test_concat_raises_without_datasets() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])


def test_concat_compares_meta_information() -> None:
    parts = [Labelled(metainfo={"a": np.arange(3), "b": name}) for name in ("x", "y")]
    with pytest.raises(ValueError, match="'b' is 'y' and 'x'"):
        ConcatDataset(parts)
    assert ConcatDataset(parts, ignore_keys="b").metainfo["b"] == "x"
    assert ConcatDataset(parts, ignore_keys=["b"]).metainfo["b"] == "x"
    with pytest.raises(ValueError, match="'a' is None"):
        ConcatDataset([parts[0], Labelled(metainfo={"b": "x"})])


def test_repeat_raises_for_less_than_one_time(numbers: type[BaseDataset]) -> None:
    with pytest.raises(ValueError, match=">= 1, got 0"):
        RepeatDataset(numbers(), 0)


_Categories = st.lists(st.lists(st.integers(0, 3), max_size=3), min_size=1, max_size=12)


@given(_Categories, st.floats(0.01, 3))
def test_class_balance_follows_the_formula(categories: list[list[int]], threshold: float) -> None:
    def factor(category: int) -> float:
        fraction = sum(category in held for held in categories) / len(categories)
        return max(1.0, math.sqrt(threshold / fraction))

    expected = [
        number
        for number, held in enumerate(categories)
        for _ in range(math.ceil(max([1.0, *map(factor, held)]) - 1e-9))
    ]
    found = ClassBalancedDataset(Labelled(*categories), threshold)
    assert [sample["number"] for sample in found] == expected


def test_force_full_init_raises_without_full_init() -> None:
    class Without:
        @force_full_init
        def __len__(self) -> int:
            return 0

    with pytest.raises(AttributeError, match=r"Without.*full_init"):
        len(Without())


def test_force_full_init_keeps_name_arguments_and_flag() -> None:
    class With:
        loads = 0

        def full_init(self) -> None:
            self.loads += 1

        @force_full_init
        def add(self, one: int, *, other: int) -> int:
            """Add a number."""
            return one + other

    found = With()
    assert [found.add(1, other=2), found.add(2, other=2), found.loads] == [3, 4, 1]
    assert With.add.__doc__ == "Add a number."


class EverySecond:
    """A wrapper as the documentation shows it."""

    def __init__(self, dataset: Any, lazy_init: bool = False) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self._metainfo = self.dataset.metainfo
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict[str, Any]:
        return dict(self._metainfo)

    def full_init(self) -> None:
        if not self._fully_initialized:
            self.dataset.full_init()
            self._fully_initialized = True

    @force_full_init
    def get_data_info(self, idx: int) -> Any:
        return self.dataset.get_data_info(2 * idx)

    def __getitem__(self, idx: int) -> Any:
        return self.dataset[2 * idx]

    @force_full_init
    def __len__(self) -> int:
        return len(self.dataset) // 2


def test_documented_custom_wrapper_works_inside_other_wrappers(numbers: type[BaseDataset]) -> None:
    lazy = EverySecond({"type": numbers, "lazy_init": True}, lazy_init=True)
    assert lazy.get_data_info(2)["value"] == 4
    dataset = RepeatDataset(lazy, 2)
    assert [dataset[index]["value"] for index in range(len(dataset))] == [0, 2, 4, 6, 8] * 2
