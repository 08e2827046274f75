"""Runs of two ranks: limits, several sets and validation losses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch

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
    """Note the samples that each iteration trains on."""

    def __init__(self) -> None:
        self.samples: list[list[float]] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.samples.append(data_batch[0].flatten().tolist())


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


CASES = {
    "window": window,
    "losses": losses,
    "few": few,
    "unequal": unequal,
    "limited": limited,
    "sets": sets,
    "train": train,
}
