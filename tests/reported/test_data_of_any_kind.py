"""A torch `DataLoader`, data without a length, and any iterable of batches as data of a run."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset

from engine_dataset import DatasetError, DefaultSampler
from engine_runner import Hook, Runner
from engine_runner._errors import SettingsError
from engine_runner._loaders import check_loader

Batches = list[tuple[Tensor, Tensor]]


class Line(Dataset[tuple[Tensor, Tensor]]):
    """Points of a line; ``noise`` moves them, ``stop`` raises `StopIteration` at an index."""

    def __init__(self, size: int = 10, *, noise: bool = False, stop: int = -1) -> None:
        self.size, self.noise, self.stop = size, noise, stop

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index == self.stop:
            next(iter([]))
        x = torch.tensor([index / 10 + (random.random() if self.noise else 0)])
        return x, 2 * x


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    """Seven points, without a length."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (Line()[index] for index in range(7))


class Seen(Hook):
    """Keep the iterations and batches of the training; raise after iteration ``stop``."""

    priority = "LOWEST"

    def __init__(self, stop: int = -1) -> None:
        self.stop = stop
        self.seen: list[tuple[int, int, float]] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.seen.append((runner.epoch, batch_idx, float(data_batch[0].sum())))
        if runner.iter + 1 == self.stop:
            raise KeyboardInterrupt


class Batched:
    """Batches without any attribute of a data loader."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(batches())


def batches(count: int = 3) -> Batches:
    """Return batches of two samples."""
    x = torch.tensor([[0.1], [0.2]])
    return [(x * number, 2 * x * number) for number in range(1, count + 1)]


def log_of(folder: Path) -> str:
    """Return the text of all logs of a work directory."""
    return "".join(path.read_text() for path in sorted(folder.glob("*/*.log")))


EVERY_ITERATION = {"logger": {"type": "LoggerHook", "interval": 1}}


@pytest.mark.parametrize(
    ("data", "count"),
    [(DataLoader(Stream(), batch_size=2), 4), (Batched(), 3), (batches(), 3)],
    ids=["stream", "iterable", "list"],
)
def test_data_of_any_kind_trains_by_epochs_and_is_validated(
    toy_run: Callable[..., Runner], tmp_path: Path, data: Any, count: int
) -> None:
    hook = Seen()
    runner = toy_run(
        train_dataloader=data,
        validate=[0.1, 0.2],
        val_dataloader=data,
        custom_hooks=[hook],
        default_hooks=EVERY_ITERATION,
    )

    runner.train()

    assert [(epoch, idx) for epoch, idx, _ in hook.seen] == [
        (epoch, idx) for epoch in range(2) for idx in range(count)
    ]
    assert runner.message_hub.get_scalar("val/n").current() == (7 if count == 4 else 6)
    log = log_of(tmp_path / "work")
    assert f"Epoch(train) [2][{count}" in log
    assert f"Epoch(val) [2][{count}" in log
    assert "inf" not in log.replace("info", "")


def test_data_without_a_length_trains_by_iterations_and_starts_anew(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    hook = Seen()
    runner = toy_run(
        train_dataloader=DataLoader(Stream(), batch_size=2),
        train_cfg={"by_epoch": False, "max_iters": 6},
        log_processor={"by_epoch": False},
        default_hooks=EVERY_ITERATION,
        custom_hooks=[hook],
    )

    runner.train()

    sums = [value for _, _, value in hook.seen]
    assert sums[4:6] == sums[:2]
    assert "Iter(train) [6/6]" in log_of(tmp_path / "work")


def test_a_test_reads_data_without_a_length(toy_run: Callable[..., Runner]) -> None:
    runner = toy_run(
        train_dataloader=None,
        train_cfg=None,
        optim_wrapper=None,
        test_dataloader=DataLoader(Stream(), batch_size=2),
        test_cfg={},
        test_evaluator=toy_run(validate=[0.5]).val_evaluator.metrics[0],
    )

    assert runner.test() == {"n": 7.0, "acc": 0.5}


def test_an_iterator_that_cannot_begin_again_raises(toy_run: Callable[..., Runner]) -> None:
    runner = toy_run(train_dataloader=iter(batches()))

    with pytest.raises(ValueError, match=r"train_dataloader.*an iterator cannot begin again"):
        runner.train()


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"type": "CosineAnnealingLR", "convert_to_iter_based": True}, "iterations per epoch"),
        ({"type": "LinearLR", "start_factor": 0.1, "by_epoch": False}, "by_epoch=False has no end"),
    ],
    ids=["conversion", "end"],
)
def test_a_schedule_that_needs_the_length_takes_it_from_epoch_length(
    toy_run: Callable[..., Runner], schedule: dict[str, Any], message: str
) -> None:
    data = DataLoader(Stream(), batch_size=2)
    without = toy_run(train_dataloader=data, param_scheduler=schedule)
    train_cfg = {"by_epoch": True, "max_epochs": 2, "epoch_length": 4}
    runner = toy_run(train_dataloader=data, train_cfg=train_cfg, param_scheduler=schedule)

    with pytest.raises(SettingsError, match=message):
        without.train()
    runner.train()

    assert (runner.iter, runner.max_iters) == (8, 8)


def test_an_epoch_of_another_length_than_declared_is_logged(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    train_cfg = {"by_epoch": True, "max_epochs": 1, "epoch_length": 9}
    toy_run(train_dataloader=Batched(), train_cfg=train_cfg).train()

    assert "epoch 1 has 3 batches, but epoch_length is 9" in log_of(tmp_path / "work")
    with pytest.raises(SettingsError, match="epoch_length must be left out"):
        toy_run(train_cfg=train_cfg).train()


class Announced(Batched):
    """Three batches, of four that its length announces."""

    def __len__(self) -> int:
        return 4


def test_an_epoch_that_ends_before_the_length_of_its_data_is_logged(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    toy_run(train_dataloader=Announced()).train()

    log = log_of(tmp_path / "work")
    assert "epoch 2 has 3 batches, but the length of train_dataloader is 4" in log


@pytest.mark.parametrize("mode", ["train", "val"])
def test_a_dataset_is_not_taken_for_a_loader(toy_run: Callable[..., Runner], mode: str) -> None:
    changes = {"validate": [0.1]} if mode == "val" else {}
    runner = toy_run(**changes, **{f"{mode}_dataloader": Line()})

    with pytest.raises(SettingsError, match="must yield batches, got the dataset Line"):
        runner.train()


def test_a_stream_in_a_config_has_no_sampler(toy_run: Callable[..., Runner]) -> None:
    config = {"dataset": Stream(), "batch_size": 2, "collate_fn": {"type": "default_collate"}}
    with_sampler = toy_run(train_dataloader={**config, "sampler": {"type": "DefaultSampler"}})
    runner = toy_run(train_dataloader=config, validate=[0.1, 0.2], val_dataloader=config)

    with pytest.raises(SettingsError, match=r"got the stream Stream; leave out sampler"):
        with_sampler.train()
    runner.train()

    assert runner.iter == 8
    assert runner.message_hub.get_scalar("val/n").current() == 7


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("shuffle", [False, True], ids=["in-order", "shuffled"])
def test_a_foreign_loader_resumes_at_the_next_batch(
    toy_run: Callable[..., Runner], tmp_path: Path, workers: int, shuffle: bool
) -> None:
    def run(folder: str, stop: int, **changes: Any) -> tuple[list[Any], Tensor]:
        hook = Seen(stop)
        runner = toy_run(
            work_dir=str(tmp_path / folder),
            train_dataloader=DataLoader(
                Line(noise=True), batch_size=2, shuffle=shuffle, num_workers=workers
            ),
            custom_hooks=[hook],
            default_hooks={
                "checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}
            },
            **changes,
        )
        if stop > 0:
            with pytest.raises(KeyboardInterrupt):
                runner.train()
        else:
            runner.train()
        weights = [one.detach().flatten() for one in runner.model.parameters()]
        return hook.seen, torch.cat(weights)

    seen, weights = run("whole", -1)
    run("cut", 7)

    later, resumed = run("cut", -1, resume=True)

    assert later == seen[7:]
    assert torch.equal(weights, resumed)
    assert "read again" not in log_of(tmp_path / "cut")


def _empty(**options: Any) -> dict[str, Any]:
    return {"sampler": {"type": "DefaultSampler"}, "batch_size": 4, **options}


@pytest.mark.parametrize("mode", ["train", "val"])
@pytest.mark.parametrize(
    "data",
    [
        DataLoader(Line(3), batch_size=4, drop_last=True),
        _empty(dataset=Line(3), drop_last=True),
        _empty(dataset=Line(0)),
        [],
    ],
    ids=["torch", "config", "no-sample", "no-batch"],
)
def test_a_loader_without_a_batch_raises_before_the_training(
    toy_run: Callable[..., Runner], mode: str, data: Any
) -> None:
    changes = {"validate": [0.1]} if mode == "val" else {}
    runner = toy_run(**changes, **{f"{mode}_dataloader": data})

    with pytest.raises(ValueError, match=f"{mode}_dataloader .* yields no batch"):
        runner.train()

    assert runner.iter == 0


class Nothing(DefaultSampler):
    """A sampler that announces samples and yields none."""

    def __iter__(self) -> Iterator[int]:
        return iter(())


@pytest.mark.parametrize("mode", ["train", "val"])
def test_a_sampler_that_yields_nothing_raises(toy_run: Callable[..., Runner], mode: str) -> None:
    data = DataLoader(Line(4), batch_size=2, sampler=Nothing(Line(4), seed=0))
    changes = {"validate": [0.1]} if mode == "val" else {}
    runner = toy_run(**changes, **{f"{mode}_dataloader": data})

    with pytest.raises(ValueError, match=f"{mode}_dataloader .*Line has 4 samples"):
        runner.train()


@pytest.mark.parametrize("mode", ["train", "val"])
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("kind", ["torch", "config"])
def test_stop_iteration_of_a_dataset_raises(
    toy_run: Callable[..., Runner], mode: str, workers: int, kind: str
) -> None:
    dataset = Line(8, stop=5)
    data: Any = DataLoader(dataset, batch_size=2, num_workers=workers)
    if kind == "config":
        data = {
            "dataset": dataset,
            "batch_size": 2,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "collate_fn": {"type": "default_collate"},
            "num_workers": workers,
        }
    changes = {"validate": [0.1]} if mode == "val" else {}
    runner = toy_run(**changes, **{f"{mode}_dataloader": data})

    with pytest.raises(DatasetError, match="Line raised StopIteration in batch 2") as caught:
        runner.train()

    assert kind == "torch" or "[4, 5]" in str(caught.value)


def test_loaders_are_checked_against_the_number_of_ranks() -> None:
    sampler: DistributedSampler[Any] = DistributedSampler(Line(4), num_replicas=2, rank=0)
    check_loader("val_dataloader", DataLoader(Line(4), sampler=sampler), world_size=2)

    for data in (
        DataLoader(Line(4)),
        DataLoader(Line(4), sampler=DefaultSampler(Line(4))),
        DataLoader(Stream()),
    ):
        for mode in ("train", "val"):
            with pytest.raises(SettingsError, match="must divide its samples among 2 ranks"):
                check_loader(f"{mode}_dataloader", data, world_size=2)
            check_loader(f"{mode}_dataloader", data, world_size=1)
