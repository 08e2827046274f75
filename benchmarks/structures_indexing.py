"""Measure indexing 1,000 instances with 6 fields over indexing six tensors.

Prints one ratio per kind of index; the baseline is measured alternately in the same run.
"""

import time
from collections.abc import Callable
from typing import Any

import torch

from engine_structures import InstanceData

INSTANCES, ROUNDS, CALLS = 1000, 15, 300


def make_fields() -> dict[str, torch.Tensor]:
    """Return fields like those that a detector returns for an image."""
    return {
        "boxes": torch.rand(INSTANCES, 4),
        "scores": torch.rand(INSTANCES),
        "labels": torch.randint(80, (INSTANCES,)),
        "centers": torch.rand(INSTANCES, 2),
        "areas": torch.rand(INSTANCES),
        "embeddings": torch.rand(INSTANCES, 16),
    }


def seconds(call: Callable[[], Any]) -> float:
    """Return the time of one call, averaged over a few hundred."""
    begin = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - begin) / CALLS


def compare(name: str, index: Any) -> None:
    """Print the two costs of one kind of index."""
    fields = make_fields()
    element = InstanceData(metainfo={"img_shape": (800, 1333), "img_id": 7}, **fields)
    by_hand: list[float] = []
    by_element: list[float] = []
    for _ in range(ROUNDS):
        by_hand.append(seconds(lambda: {key: value[index] for key, value in fields.items()}))
        by_element.append(seconds(lambda: element[index]))
    hand, ours = min(by_hand), min(by_element)  # the rounds that other programs disturbed least
    print(
        f"{name:10s} by hand {hand * 1e6:7.2f} us  InstanceData {ours * 1e6:7.2f} us  "
        f"ratio {ours / hand:.2f} (limit 1.5)"
    )


def main() -> None:
    """Compare each kind of index."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    compare("one", slice(3, 4))
    compare("slice", slice(10, 500))
    compare("mask", torch.rand(INSTANCES) > 0.5)
    compare("positions", torch.randperm(INSTANCES)[:300])
    compare("sort", torch.rand(INSTANCES).argsort())


if __name__ == "__main__":
    main()
