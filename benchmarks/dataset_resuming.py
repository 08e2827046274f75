"""What a loader that can be resumed costs a batch, and how long it takes to resume.

A batch is compared with torch's `DataLoader` over the same samples, in turns: processor time, best
of the rounds.
Resuming deep in an epoch is compared with what torch leaves to the user: reading the past batches
again.

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
    """Small tensors that exist already."""

    def __init__(self, count: int) -> None:
        self.data = torch.arange(4.0 * count).view(count, 4)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.data[index]


def make(kind: Loader, dataset: Pictures) -> DataLoader[Any]:
    """Makes a loader of batches of 8, which are not stacked: that would drown the difference."""
    return kind(dataset, 8, sampler=DefaultSampler(dataset, seed=0), collate_fn=list)


def seconds(action: Callable[[], Any]) -> float:
    """Times an action."""
    began = time.process_time()
    action()
    return time.process_time() - began


def consume(loader: DataLoader[Any]) -> None:
    """Reads an epoch."""
    for _ in loader:
        pass


def main() -> None:
    """Measures and prints ratios."""
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
