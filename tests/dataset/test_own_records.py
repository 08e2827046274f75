"""Wrong results of overridden methods, and invalid indices."""

from typing import Any

import numpy as np
import pytest

from engine_dataset import BaseDataset, ConcatDataset, RepeatDataset, ResumableDataLoader

Serialized = pytest.mark.parametrize("serialize_data", [True, False], ids=["stored", "listed"])


class Five(BaseDataset):
    """Five records."""

    def load_data_list(self) -> list[Any]:
        return [{"v": number} for number in range(5)]


class WithoutResult(Five):
    """A dataset whose filter does not return the remaining records."""

    def filter_data(self) -> Any:
        return None


def test_filter_data_without_a_result_raises_and_names_the_method() -> None:
    with pytest.raises(TypeError, match="`filter_data` of WithoutResult must return a list"):
        WithoutResult()


@Serialized
@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([1, 7], IndexError, "within the 5 samples of the dataset, got 7"),
        ([-6], IndexError, "got -6"),
        ([1.5], TypeError, "sequence of integers"),
        (np.array([True, False, True, False, True]), TypeError, "sequence of integers"),
        ("ab", TypeError, "sequence of integers"),
    ],
    ids=["above", "below", "fraction", "mask", "text"],
)
def test_invalid_indices_raise(
    serialize_data: bool, indices: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Five(serialize_data=serialize_data, indices=indices)
    with pytest.raises(error, match=message):
        Five(serialize_data=serialize_data).get_subset(indices)


def test_subset_without_indices_is_empty() -> None:
    assert len(Five().get_subset([])) == 0


@pytest.mark.parametrize("times", ["2", 2.5])
def test_times_must_be_an_integer(times: Any) -> None:
    with pytest.raises(TypeError, match="times must be an integer"):
        RepeatDataset(Five(), times)


def test_concat_dataset_raises_without_a_list() -> None:
    with pytest.raises(TypeError, match="list of datasets or configs, got Five"):
        ConcatDataset(Five())  # type: ignore[arg-type]  # wrong on purpose


def test_loading_another_state_raises() -> None:
    loader: ResumableDataLoader[Any] = ResumableDataLoader(Five(), batch_size=2)

    with pytest.raises(ValueError, match="must be the state of a data loader, but it lacks"):
        loader.load_state_dict({"model": 1})
