"""Wrong results of overridden methods, and indices that name no samples."""

from typing import Any

import numpy as np
import pytest

from engine_dataset import BaseDataset, ConcatDataset, RepeatDataset, ResumableDataLoader

Serialized = pytest.mark.parametrize("serialize_data", [True, False], ids=["stored", "listed"])


class Five(BaseDataset):
    """Five records."""

    def load_data_list(self) -> list[Any]:
        return [{"v": number} for number in range(5)]


class Forgetful(Five):
    """Filters, but does not return what is left."""

    def filter_data(self) -> Any:
        return None


def test_filter_data_without_a_result_is_named() -> None:
    with pytest.raises(TypeError, match="`filter_data` of Forgetful must return a list"):
        Forgetful()


@Serialized
@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([1, 7], IndexError, "holds 7, but the data set has 5 samples"),
        ([-6], IndexError, "holds -6"),
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


def test_subset_of_no_indices_is_empty() -> None:
    assert len(Five().get_subset([])) == 0


@pytest.mark.parametrize("times", ["2", 2.5])
def test_times_must_be_whole(times: Any) -> None:
    with pytest.raises(TypeError, match="times must be an integer"):
        RepeatDataset(Five(), times)


def test_concat_dataset_raises_without_a_list() -> None:
    with pytest.raises(TypeError, match="list of data sets, but got Five"):
        ConcatDataset(Five())  # type: ignore[arg-type]  # wrong on purpose


def test_what_is_no_state_of_a_loader_is_named() -> None:
    loader: ResumableDataLoader[Any] = ResumableDataLoader(Five(), batch_size=2)

    with pytest.raises(ValueError, match="not the state of a data loader: it lacks"):
        loader.load_state_dict({"model": 1})
