"""Samplers, collate functions and datasets of another library, found by name."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from torch.utils.data import Sampler

from engine_dataset import Compose, ResumableDataLoader
from engine_registry import COLLATE_FUNCTIONS, DATA_SAMPLERS, DATASETS, TRANSFORMS, Registry


class Backwards(Sampler[int]):
    """A sampler from the last sample to the first."""

    def __init__(self, dataset: Sequence[Any], seed: int | None = None) -> None:
        self.dataset = dataset

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.dataset) - 1, -1, -1))

    def __len__(self) -> int:
        return len(self.dataset)


def joined(data_batch: Sequence[Any]) -> str:
    """Join the samples to one text."""
    return "".join(map(str, data_batch))


def picture_set(transform: Any = None, **options: Any) -> list[Any]:
    """Build a dataset that is not a class of ours, with transforms from configs."""
    apply = Compose(transform)
    return [apply(number) for number in range(options["size"])]


class Text:
    """A transform of samples that are not dicts."""

    def __call__(self, sample: int) -> str:
        return str(sample)


@pytest.fixture
def _registered() -> Iterator[None]:
    parts: list[tuple[Registry, str, Any]] = [
        (DATA_SAMPLERS, "OwnPartsBackwards", Backwards),
        (COLLATE_FUNCTIONS, "own_parts_joined", joined),
        (DATASETS, "OwnPartsPictures", picture_set),
        (TRANSFORMS, "OwnPartsText", Text),
    ]
    for registry, name, part in parts:
        registry.register_module(name=name, module=part)
    yield
    for registry, name, _ in parts:
        registry._module_dict.pop(name)


@pytest.mark.usefixtures("_registered")
def test_own_parts_make_a_loader_that_resumes() -> None:
    data = [10, 11, 12, 13, 14]

    def make() -> ResumableDataLoader[Any]:
        return ResumableDataLoader(
            data,  # type: ignore[arg-type] # any sized object works
            2,
            sampler=DATA_SAMPLERS.build(
                {"type": "OwnPartsBackwards"}, default_args={"dataset": data}
            ),
            collate_fn=COLLATE_FUNCTIONS.get("own_parts_joined"),
        )

    loader = make()
    batches = iter(loader)
    assert next(batches) == "1413"
    resumed = make()
    resumed.load_state_dict(loader.state_dict())
    assert list(resumed) == list(batches) == ["1211", "10"]


@pytest.mark.usefixtures("_registered")
def test_dataset_of_a_builder_function_builds_transforms_from_configs() -> None:
    transform = [{"type": "OwnPartsText"}, lambda text: text + "!"]
    config = {"type": "OwnPartsPictures", "transform": transform, "size": 2}
    assert DATASETS.build(config) == ["0!", "1!"]
