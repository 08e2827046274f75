"""Runs of two ranks: limits, several sets and validation losses."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SubsetRandomSampler,
)

from engine_dataset import DefaultSampler, DistributedSamplerWrapper, ShardedStream
from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_runner import Hook, Runner

SIZE = 11


def _loader(size: int = SIZE, **options: Any) -> dict[str, Any]:
    return {
        "dataset": [(torch.tensor([float(index)]),) for index in range(size)],
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 2,
        **options,
    }


class Square(BaseModel):
    """The loss of a batch is the mean of its squared inputs, times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        if mode == "loss":
            return {"loss_square": (self.weight * x).square().mean()}
        return list(x)


class Seen(BaseMetric):
    """Collects which samples were evaluated."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [int(sample) for sample in data_samples]

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"seen": results}


def _evaluate(folder: Path, data: Any, **options: Any) -> dict[str, Any]:
    runner = Runner(
        Square(),
        folder,
        val_dataloader=data,
        val_cfg=options,
        val_evaluator={"type": Seen},
        launcher="pytorch",
    )
    return runner.val()


def losses(rank: int, folder: Path) -> Any:
    """Validate 11 samples, of which one is repeated as padding."""
    return _evaluate(folder, _loader(), compute_loss=True)


def few(rank: int, folder: Path) -> Any:
    """Validate one sample, so that the second rank has padding alone."""
    return _evaluate(folder, _loader(1), compute_loss=True)


def unequal(rank: int, folder: Path) -> Any:
    """Validate without padding: the second rank has no batch."""
    sampler = {"type": "DefaultSampler", "shuffle": False, "round_up": False}
    return _evaluate(folder, _loader(1, sampler=sampler), compute_loss=True)


def limited(rank: int, folder: Path) -> Any:
    """Validate two batches per rank."""
    return _evaluate(folder, _loader(), compute_loss=True, num_batch_per_epoch=2)


def sets(rank: int, folder: Path) -> Any:
    """Validate two sets."""
    return _evaluate(folder, {"a": _loader(3), "b": _loader(5)})


class Note(Hook):
    """Note the samples that each iteration trains on; raise after ``stop`` iterations."""

    priority = "LOWEST"

    def __init__(self, stop: int = 0) -> None:
        self.stop = stop
        self.samples: list[list[float]] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.samples.append(data_batch[0].flatten().tolist())

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if len(self.samples) == self.stop:
            raise InterruptedError


def train(rank: int, folder: Path) -> Any:
    """Train two epochs of two batches per rank, with a resume after the first one."""
    samples = []
    for epochs in (1, 2):
        note = Note()
        runner = Runner(
            Square(),
            folder,
            train_dataloader=_loader(num_batch_per_epoch=2),
            train_cfg={"by_epoch": True, "max_epochs": epochs},
            optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.001}},
            custom_hooks=[note],
            resume=True,
            launcher="pytorch",
        )
        runner.train()
        samples += note.samples
    return {"samples": samples, "iter": runner.iter, "max_iters": runner.max_iters}


class Endless:
    """Three batches of one sample on each rank, without a length."""

    world_size = 2  # it divides its samples itself

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def __iter__(self) -> Iterator[Any]:
        return iter([(torch.tensor([[3.0 * self.rank + index]]),) for index in range(3)])


def window(rank: int, folder: Path) -> Any:
    """Train three batches per rank in windows of two."""
    runner = Runner(
        Square(),
        folder,
        train_dataloader=cast(Any, Endless(rank)),  # any iterable of batches will do
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}, "accumulative_counts": 2},
        launcher="pytorch",
    )
    runner.train()
    return {"weight": float(runner.model.module.weight)}


class Points(Dataset[Any]):
    """One field per sample: its index."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        return (torch.tensor([float(index)]),)


class Numbers(IterableDataset[Any]):
    """A stream of numbers, the same on each rank."""

    def __iter__(self) -> Iterator[Any]:
        return (Points(7)[index] for index in range(7))


class Backwards(Sampler[int]):
    """A sampler of the user's, for one process."""

    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Iterator[int]:
        return iter(range(5, -1, -1))


def _trained(folder: Path, data: Any, stop: int = 0, **options: Any) -> Any:
    """Train three epochs; with ``stop``, an interrupted run and one that resumes it."""
    note = Note(stop)
    runner = Runner(
        Square(),
        folder,
        train_dataloader=data,
        train_cfg={"by_epoch": True, "max_epochs": 3},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.001}},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}},
        custom_hooks=[note],
        randomness={"seed": 1},
        launcher="pytorch",
        **options,
    )
    with suppress(InterruptedError):
        runner.train()
    return note.samples


def by_hand(rank: int, folder: Path) -> Any:
    """Train on loaders by hand, whole and resumed within the second epoch."""
    loaders: dict[str, Any] = {
        "shuffled": lambda: DataLoader(Points(7), batch_size=2, shuffle=True),
        "subset": lambda: DataLoader(Points(9), 2, sampler=SubsetRandomSampler([1, 3, 5, 7, 8])),
        "early": lambda: DataLoader(Points(7), 2, sampler=_made_before_the_group()),
        "wrapped": lambda: DataLoader(Points(6), 2, sampler=DistributedSamplerWrapper(Backwards())),
        "torch": lambda: DataLoader(Points(7), 2, sampler=DistributedSampler(Points(7))),
        "batches": lambda: DataLoader(cast(Any, _batches()), batch_size=None),
        "stream": lambda: DataLoader(ShardedStream(Numbers()), batch_size=2),
        "workers": lambda: DataLoader(ShardedStream(Numbers()), batch_size=2, num_workers=2),
    }
    return {
        name: {
            "whole": _trained(folder / name / "whole", make()),
            "cut": _trained(folder / name / "cut", make(), stop=3),
            "resumed": _trained(folder / name / "cut", make(), resume=True),
        }
        for name, make in loaders.items()
    }


def _batches() -> list[Any]:
    return [Points(5)[index] for index in range(5)]


def _made_before_the_group() -> DefaultSampler:
    sampler = DefaultSampler(Points(7))
    sampler.rank, sampler.world_size = 0, 1
    return sampler


def by_hand_evaluated(rank: int, folder: Path) -> Any:
    """Validate on loaders by hand."""
    loaders: dict[str, Any] = {
        "plain": DataLoader(Points(7), batch_size=2),
        "shuffled": DataLoader(Points(7), batch_size=2, shuffle=True),
        "workers": DataLoader(Points(5), batch_size=2, num_workers=1),
        "subset": DataLoader(Points(9), batch_size=2, sampler=SubsetRandomSampler([1, 3, 5])),
        "twice": DataLoader(Points(2), sampler=RandomSampler([0], replacement=True, num_samples=3)),
        "torch": DataLoader(Points(5), 2, sampler=DistributedSampler(Points(5), shuffle=False)),
        "stream": DataLoader(ShardedStream(Numbers(), even=False), batch_size=2),
    }
    return {name: _evaluate(folder / name, data)["seen"] for name, data in loaders.items()}


def refused(rank: int, folder: Path) -> Any:
    """Return the errors for data that nobody divides."""
    data: dict[str, Any] = {
        "sampler": DataLoader(Points(6), sampler=Backwards()),
        "batch_sampler": DataLoader(Points(6), batch_sampler=[[0, 1], [2, 3]]),
        "stream": DataLoader(Numbers(), batch_size=2),
        "list": [Points(3)[0]],
        "ranks": DataLoader(Points(6), sampler=DistributedSampler(Points(6), 3, 0)),
    }
    found = {}
    for name, loader in data.items():
        for mode, act in (("train", _trained), ("val", _evaluate)):
            try:
                act(folder / name, loader)
            except ValueError as error:
                found[f"{mode}-{name}"] = str(error)
    return found


CASES = {
    "by_hand": by_hand,
    "by_hand_evaluated": by_hand_evaluated,
    "refused": refused,
    "window": window,
    "losses": losses,
    "few": few,
    "unequal": unequal,
    "limited": limited,
    "sets": sets,
    "train": train,
}
