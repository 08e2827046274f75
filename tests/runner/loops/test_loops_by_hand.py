"""Data that the user made: it resumes at the next batch, whatever its sampler, and has an end."""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    Sampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    get_worker_info,
)

from engine_dataset import InfiniteSampler, ShardedStream
from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_runner import Hook, Runner
from engine_runner._errors import SettingsError
from engine_runner.loops._replay import Replay

SIZE = 11


class Points(Dataset[Tensor]):
    """Indices with noise, which a resumed run must draw alike."""

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, index: int) -> Tensor:
        return torch.tensor([float(index)]) + torch.rand(1) / 10 + random.random() / 10


class Stream(IterableDataset[Tensor]):
    """Numbers with noise, divided among the workers."""

    def __init__(self, *, endless: bool = False) -> None:
        self.numbers = range(10**9) if endless else range(SIZE)

    def __iter__(self) -> Iterator[Tensor]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        for number in self.numbers[worker::workers]:
            yield torch.tensor([float(number)]) + torch.rand(1) / 10


class Shuffled(Sampler[int]):
    """A sampler of the user's that draws from the generator of the process."""

    def __len__(self) -> int:
        return SIZE

    def __iter__(self) -> Iterator[int]:
        order = list(range(SIZE))
        random.shuffle(order)
        return iter(order)


class Positioned(Shuffled):
    """A sampler that saves its own position, which is beyond the received batches."""

    position, seed = 0, 3

    def __iter__(self) -> Iterator[int]:
        order = list(range(SIZE))
        random.Random(self.seed).shuffle(order)
        while self.position < SIZE:
            self.position += 1
            yield order[self.position - 1]
        self.position, self.seed = 0, self.seed + 1

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position, "seed": self.seed}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self.position, self.seed = state["position"], state["seed"]


class Uneven:
    """A batch sampler of the user's."""

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(SIZE).tolist()
        return iter([order[0:1], order[1:4], order[4:6], order[6:8]])


class Stateful:
    """A loader with the protocol of torchdata's ``StatefulDataLoader``."""

    def __init__(self) -> None:
        self.batch, self.epoch, self.loaded = 0, 0, False

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[Tensor]:
        torch.rand(1)  # as torch's loaders do
        self.batch, self.loaded = self.batch if self.loaded else 0, False
        return self._rest()

    def _rest(self) -> Iterator[Tensor]:
        while self.batch < 4:
            self.batch += 1
            yield torch.full((2, 1), 10.0 * self.epoch + self.batch)
        self.epoch += 1
        self.batch = 0

    def state_dict(self) -> dict[str, int]:
        return {"batch": self.batch, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self.batch, self.epoch, self.loaded = state["batch"], state["epoch"], True


def batches(count: int) -> list[Any]:
    """Return batches of two."""
    return [torch.full((2, 1), float(number)) for number in range(count)]


class Fit(BaseModel):
    """A weight and dropout, which draws random numbers, too."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def _run_forward(self, data: Any, mode: str) -> Any:
        return self(data, mode=mode)  # the batches are tensors

    def forward(self, x: Tensor, mode: str = "tensor") -> Any:
        out = torch.dropout(self.weight * x / 10, 0.5, self.training)
        return {"loss": out.square().mean()} if mode == "loss" else list(out)


class Count(BaseMetric):
    """Count the samples."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [1] * len(data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"n": len(results)}


class Seen(Hook):
    """Keep epochs, indices and samples; raise after iteration ``stop``."""

    priority = "LOWEST"

    def __init__(self, stop: int) -> None:
        self.stop = stop
        self.seen: list[Any] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.seen.append((runner.epoch, batch_idx, data_batch.flatten().tolist()))
        if runner.iter + 1 == self.stop:
            raise InterruptedError


class Done(NamedTuple):
    """What a run has done."""

    seen: list[Any]
    weight: float
    max_iters: float


def run(folder: Path, data: Any, *, stop: int = 0, cfg: Any = None, **options: Any) -> Done:
    """Train three epochs, or until ``stop``."""
    hook, model = Seen(stop), Fit()
    runner = Runner(
        model,
        str(folder),
        train_dataloader=data,
        train_cfg=cfg or {"by_epoch": True, "max_epochs": 3},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}},
        custom_hooks=[hook],
        randomness={"seed": 1},
        **options,
    )
    with suppress(InterruptedError):
        runner.train()
    return Done(hook.seen, model.weight.item(), runner.max_iters)


def loader(dataset: Any = None, **options: Any) -> Callable[[], Any]:
    """Return a function that makes a loader of two samples per batch."""
    return lambda: DataLoader(Points() if dataset is None else dataset, 2, **options)


DECLARED = {"by_epoch": True, "max_epochs": 3, "epoch_length": 4}
LIMITED = {"by_epoch": True, "max_epochs": 3, "num_batch_per_epoch": 4}
BY_ITER = {"by_epoch": False, "max_iters": 14}
DATA: dict[str, tuple[Callable[[], Any], Any, int]] = {
    "shuffle": (loader(shuffle=True), None, 8),
    "iterations": (loader(shuffle=True), BY_ITER, 8),
    "generator": (
        lambda: DataLoader(Points(), 2, shuffle=True, generator=torch.Generator().manual_seed(3)),
        None,
        8,
    ),
    "workers": (loader(shuffle=True, num_workers=2, persistent_workers=True), None, 8),
    "own sampler": (lambda: DataLoader(Points(), 2, sampler=Shuffled()), None, 8),
    "own position": (
        lambda: DataLoader(Points(), 2, sampler=Positioned(), num_workers=1),
        None,
        8,
    ),
    "own batches": (lambda: DataLoader(Points(), batch_sampler=Uneven()), None, 6),
    "weighted": (loader(sampler=WeightedRandomSampler([1.0] * SIZE, 9)), None, 7),
    "subset": (loader(sampler=SubsetRandomSampler(range(7))), None, 6),
    "distributed": (
        lambda: DataLoader(Points(), 2, sampler=DistributedSampler(Points(), 1, 0)),
        None,
        8,
    ),
    "batch_size None": (lambda: DataLoader(batches(5), None, shuffle=True), None, 7),  # type: ignore[arg-type]  # a list is a dataset, too
    "config": (
        lambda: {"dataset": batches(5), "batch_size": None, "sampler": {"type": "DefaultSampler"}},
        None,
        7,
    ),
    "stateful": (Stateful, None, 6),
    "stateful iterations": (Stateful, BY_ITER, 6),
    "list": (lambda: batches(5), None, 7),
    "stream": (loader(Stream()), None, 8),
    "stream workers": (loader(Stream(), num_workers=2, persistent_workers=True), None, 8),
    "stream config": (
        lambda: {
            "dataset": Stream(),
            "batch_size": 2,
            "collate_fn": {"type": "default_collate"},
        },
        None,
        8,
    ),
    "stream declared": (loader(Stream()), DECLARED, 9),
    "end of epoch": (loader(Stream()), DECLARED, 4),
    "endless declared": (loader(Stream(endless=True)), DECLARED, 8),
    "endless limited": (loader(Stream(endless=True), num_workers=1), LIMITED, 6),
    "iterator declared": (lambda: iter(batches(99)), DECLARED, 6),
    "iterator limited": (lambda: iter(batches(99)), LIMITED, 6),
}


@pytest.mark.parametrize("name", DATA)
def test_data_by_hand_resumes_at_the_next_batch(tmp_path: Path, name: str) -> None:
    make, cfg, stop = DATA[name]
    whole = run(tmp_path / "whole", make(), cfg=cfg)
    cut = run(tmp_path / "cut", make(), cfg=cfg, stop=stop)

    resumed = run(tmp_path / "cut", make(), cfg=cfg, resume=True)

    assert len(cut.seen) == stop
    assert cut.seen + resumed.seen == whole.seen
    assert (resumed.weight, resumed.max_iters) == (whole.weight, whole.max_iters)


def test_epochs_of_declared_length_divide_data_that_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, loader(Stream())(), cfg=DECLARED)

    assert [(epoch, idx) for epoch, idx, _ in done.seen] == [
        (epoch, idx) for epoch in range(3) for idx in range(4)
    ]
    # The third batch of the second epoch is the first one of the second pass.
    assert [int(samples[0]) for _, _, samples in done.seen] == [
        0,
        2,
        4,
        6,
        8,
        10,
        0,
        2,
        4,
        6,
        8,
        10,
    ]


def test_loader_by_hand_is_not_changed(tmp_path: Path) -> None:
    data: Any = DataLoader(Points(), 2, shuffle=True)
    data.source = "a camera"
    runner = Runner(
        Fit(),
        str(tmp_path),
        train_dataloader=data,
        train_cfg=BY_ITER,
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
    )

    loaded: Any = runner.train_loop.dataloader

    assert data.sampler.generator is None
    assert type(loaded).__name__ == "RunLoader"
    assert (loaded.dataset, loaded.source) == (data.dataset, "a camera")


def test_stream_resumed_with_other_workers_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    saved = Replay(DataLoader(Stream(), 2))
    next(iter(saved))

    Replay(DataLoader(Stream(), 2, num_workers=2)).load_state_dict(saved.state_dict())

    assert "2 workers divide the stream, and 0 did before the interruption" in caplog.text


def test_batches_in_any_order_train_and_warn_when_resumed(tmp_path: Path) -> None:
    make = loader(num_workers=2, in_order=False)
    cut = run(tmp_path, make(), stop=8)

    resumed = run(tmp_path, make(), resume=True)

    assert len(cut.seen) + len(resumed.seen) == 18
    log = "".join(path.read_text() for path in tmp_path.glob("*/*.log"))
    assert "with in_order=False the order of batches is not defined" in log


class Whole(IterableDataset[Tensor]):
    """A stream that each worker yields as a whole."""

    def __iter__(self) -> Iterator[Tensor]:
        return iter([torch.tensor([float(number)]) for number in range(5)])


@pytest.mark.parametrize(
    ("stream", "samples", "warned"),
    [(Whole(), 10, True), (ShardedStream(Whole()), 5, False)],
    ids=["whole", "sharded"],
)
def test_stream_that_each_worker_repeats_is_a_warning(
    tmp_path: Path, stream: Any, samples: int, warned: bool
) -> None:
    metrics = _validate(tmp_path, DataLoader(stream, 2, num_workers=2))

    assert metrics["n"] == samples
    log = "".join(path.read_text() for path in tmp_path.glob("*/*.log"))
    assert ("the first batches of two workers are equal" in log) == warned
    assert "val_dataloader has no length, and is read to its end" in log


def _validate(folder: Path, data: Any, **options: Any) -> dict[str, Any]:
    runner = Runner(
        Fit(), str(folder), val_dataloader=data, val_cfg=options, val_evaluator={"type": Count}
    )
    return runner.val()


@pytest.mark.parametrize(
    "data",
    [
        DataLoader(Points(), 2, sampler=InfiniteSampler(Points(), seed=0)),
        itertools.cycle(batches(2)),
    ],
    ids=["sampler", "cycle"],
)
def test_endless_data_raises_with_the_way_out(tmp_path: Path, data: Any) -> None:
    with pytest.raises(SettingsError, match=r"val_dataloader must have an end.*num_batch_per"):
        _validate(tmp_path, data)
    with pytest.raises(SettingsError, match=r"never ends: train with by_epoch=False"):
        run(tmp_path, data)


def test_endless_iterable_is_evaluated_up_to_its_limit(tmp_path: Path) -> None:
    data = itertools.cycle(batches(2))

    assert _validate(tmp_path, data, num_batch_per_epoch=3) == {"n": 6}


def test_iterator_for_several_epochs_raises_before_the_first(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"3 epochs, got a list_iterator: .*set epoch_length"):
        run(tmp_path, iter(batches(3)))


@pytest.mark.parametrize("mode", ["train", "val"])
def test_share_of_a_rank_in_one_process_raises(tmp_path: Path, mode: str) -> None:
    data = DataLoader(Points(), 2, sampler=DistributedSampler(Points(), 2, 0))

    with pytest.raises(SettingsError, match=f"{mode}_dataloader .* DistributedSampler for 2 ranks"):
        run(tmp_path, data) if mode == "train" else _validate(tmp_path, data)
