"""Measure the cost per batch of a loader that can be resumed, and its time to resume.

The baseline of a batch is torch's `DataLoader` over the same samples, measured alternately:
processor time, best of the rounds. The baseline of resuming deep in an epoch is to read the past
batches again, which is what torch leaves to the user.

    python benchmarks/dataset_resuming.py [--samples 200000] [--rounds 15]
"""

import argparse
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from engine_dataset import DefaultSampler, ResumableDataLoader

Loader = type[DataLoader[Any]]


class Pictures(Dataset[torch.Tensor]):
    """Return small tensors that exist already."""

    def __init__(self, count: int) -> None:
        self.data = torch.arange(4.0 * count).view(count, 4)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.data[index]


def make(kind: Loader, dataset: Pictures) -> DataLoader[Any]:
    """Return a loader of batches of 8, not stacked: stacking would hide the difference."""
    return kind(dataset, 8, sampler=DefaultSampler(dataset, seed=0), collate_fn=list)


def seconds(action: Callable[[], Any]) -> float:
    """Return the time of an action."""
    began = time.process_time()
    action()
    return time.process_time() - began


def consume(loader: DataLoader[Any]) -> None:
    """Read an epoch."""
    for _ in loader:
        pass


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    small, large = Pictures(20_000), Pictures(arguments.samples)
    kinds: dict[str, Loader] = {"torch": DataLoader, "ours": ResumableDataLoader}
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(arguments.rounds):
        for name, kind in kinds.items():
            loader = make(kind, small)
            best[name] = min(best[name], seconds(lambda: consume(loader)) / len(loader) * 1e6)  # noqa: B023 - called at once
    print(
        f"a batch: torch {best['torch']:.2f} us, ours {best['ours']:.2f} us, "
        f"{best['ours'] - best['torch']:+.2f} us, {best['ours'] / best['torch']:.3f} times"
    )
    interrupted = ResumableDataLoader(
        large, 8, sampler=DefaultSampler(large, seed=0), collate_fn=list
    )
    past = len(interrupted) - 10
    state = {**interrupted.state_dict(), "batches": past}
    interrupted.load_state_dict(state)
    ours = seconds(lambda: next(iter(interrupted)))
    again = make(DataLoader, large)
    theirs = seconds(lambda: next(islice(iter(again), past, None)))
    print(
        f"to batch {past}: reading again {theirs:.2f} s, resuming {ours:.3f} s, "
        f"{ours / theirs:.4f} times"
    )


if __name__ == "__main__":
    main()
