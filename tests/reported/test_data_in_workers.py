"""Batches from workers do not depend on the workers, nor on where a run was interrupted."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from engine_dataset import DefaultSampler, ResumableDataLoader, worker_init_fn
from engine_model import BaseModel
from engine_runner import Hook, Runner


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Twelve points, moved by random numbers of all three libraries."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = random.random() + float(np.random.rand()) + float(torch.rand(()))
        x = torch.tensor([index / 6 - 1 + noise])
        return x, 2 * x + noise


class NoisyStream(IterableDataset[float]):
    """Six random numbers per worker."""

    def __iter__(self) -> Any:
        return (random.random() + float(np.random.rand()) for _ in range(6))


class Dropped(BaseModel):
    """A linear layer whose training draws from the generator of the main process, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.3)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.layers(x)
        if mode == "loss":
            return {"loss": (predicted - y).square().mean()}
        return predicted, y


class StopAt(Hook):
    """Interrupt the run after an iteration, when its checkpoint is written."""

    priority = "LOWEST"

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter + 1 == self.iteration:
            raise KeyboardInterrupt


class KeepNoise(Hook):
    """Keep the sums of the validation batches."""

    def __init__(self) -> None:
        self.sums: list[float] = []

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.sums.append(float(data_batch[0].sum()))


def _loader(num_workers: int, *, persistent: bool = False, shuffle: bool = True) -> dict[str, Any]:
    return {
        "dataset": Noisy(),
        "batch_size": 3,
        "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
        "collate_fn": {"type": "default_collate"},
        "num_workers": num_workers,
        "persistent_workers": persistent,
    }


def _weights(
    toy_run: Callable[..., Runner], folder: Path, num_workers: int, persistent: bool, **changes: Any
) -> tuple[list[Tensor], list[float]]:
    """Train three epochs of four batches, and return the weights and the sums of validations."""
    kept = KeepNoise()
    runner = toy_run(
        model=Dropped(),
        work_dir=str(folder),
        validate=[0.1, 0.2, 0.3],
        train_dataloader=_loader(num_workers, persistent=persistent),
        val_dataloader=_loader(min(num_workers, 1), shuffle=False),
        train_cfg={"by_epoch": True, "max_epochs": 3},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.001}},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}},
        custom_hooks=[kept, *changes.pop("hooks", [])],
        **changes,
    )
    runner.train()
    return [one.detach().clone() for one in runner.model.parameters()], kept.sums


@pytest.mark.parametrize(
    ("workers", "stops"),
    [((0, 0), (1, 4, 7, 11)), ((2, 2), (3, 8)), ((1, 2), (5,)), ((2, 1), (10,))],
    ids=["none", "two", "one-then-two", "two-then-one"],
)
@pytest.mark.parametrize("persistent", [False, True], ids=["new", "persistent"])
def test_a_resumed_run_has_the_weights_of_the_uninterrupted_run(
    toy_run: Callable[..., Runner],
    tmp_path: Path,
    workers: tuple[int, int],
    stops: tuple[int, ...],
    persistent: bool,
) -> None:
    first, second = workers
    if persistent and not first:
        pytest.skip("no workers, none to keep")
    whole, sums = _weights(toy_run, tmp_path / "whole", first, persistent)

    for stop in stops:
        folder = tmp_path / str(stop)
        with pytest.raises(KeyboardInterrupt):
            _weights(toy_run, folder, first, persistent, hooks=[StopAt(stop)])
        resumed, later = _weights(toy_run, folder, second, persistent, resume=True)

        for one, other in zip(whole, resumed, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)
        assert later == sums[len(sums) - len(later) :]


def _epochs(num_workers: int, *, persistent: bool = False, dataset: Any = None) -> list[Any]:
    torch.manual_seed(5)
    data = Noisy() if dataset is None else dataset
    loader: ResumableDataLoader[Any] = ResumableDataLoader(
        data, batch_size=4, num_workers=num_workers, persistent_workers=persistent
    )
    return [
        [batch[0].tolist() if isinstance(batch, list) else batch.tolist() for batch in loader]
        for _ in range(2)
    ]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of two cores
@pytest.mark.parametrize("persistent", [False, True], ids=["new", "persistent"])
def test_batches_of_workers_do_not_depend_on_their_number(persistent: bool) -> None:
    one, three = _epochs(1), _epochs(3, persistent=persistent)

    assert one == three
    assert one[0] != one[1]


def test_a_stream_in_persistent_workers_equals_one_in_new_workers() -> None:
    new, kept = (_epochs(2, persistent=keep, dataset=NoisyStream()) for keep in (False, True))

    assert new == kept
    assert new[0] != new[1]


class Facts(Dataset[tuple[bool, int]]):
    """Report whether the worker has this dataset, and what ``worker_init_fn`` set."""

    started = 0

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[bool, int]:
        info = get_worker_info()
        return info is not None and info.dataset is self, self.started


def _start(worker: int) -> None:
    info = get_worker_info()
    if info is not None and isinstance(info.dataset, Facts):
        info.dataset.started = 7 + worker
    worker_init_fn(worker, num_workers=1, rank=0, seed=0)


def test_workers_keep_the_dataset_and_the_init_function_of_the_user() -> None:
    dataset = Facts()
    loader: ResumableDataLoader[Any] = ResumableDataLoader(
        dataset, batch_size=2, num_workers=1, worker_init_fn=_start, collate_fn=list
    )

    assert list(loader) == [[(True, 7), (True, 7)]]
    assert loader.dataset is dataset


def test_a_loader_draws_no_random_number_of_the_process_after_its_construction() -> None:
    torch.manual_seed(1)
    loader: ResumableDataLoader[Any] = ResumableDataLoader(Facts(), batch_size=1, shuffle=True)
    before = torch.get_rng_state()

    first, second = list(loader), list(loader)

    assert torch.equal(before, torch.get_rng_state())
    assert len(first) == len(second) == 2


def test_a_state_of_a_pass_that_is_over_starts_the_next_one() -> None:
    """A checkpoint after the last batch, and the epoch that follows it."""

    def loader() -> ResumableDataLoader[Any]:
        data = Noisy()
        made: ResumableDataLoader[Any] = ResumableDataLoader(
            data,
            batch_size=6,
            sampler=DefaultSampler(data, seed=0),
            num_workers=1,
            generator=torch.Generator().manual_seed(3),
        )
        return made

    whole = loader()
    batches = iter(whole)
    next(batches)
    next(batches)
    state = whole.state_dict()
    assert next(batches, None) is None
    expected = _next_epoch(whole)

    resumed = loader()
    resumed.load_state_dict(state)

    assert _next_epoch(resumed) == expected


def _next_epoch(loader: ResumableDataLoader[Any]) -> list[Any]:
    loader.sampler.set_epoch(1)  # type: ignore[attr-defined] # a DefaultSampler
    return [batch[0].tolist() for batch in loader]
