"""Measure the cost of loading and saving weights over `torch.load` and `torch.save`.

python benchmarks/model_weights_files.py
"""

import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from engine_model.weights import load_checkpoint, read_checkpoint, save_checkpoint

ROUNDS = 7


class Foreign:
    """A class that the reader does not import."""

    def __init__(self) -> None:
        self.history = list(range(100))


def network() -> nn.Sequential:
    """Return a network of 400 tensors, 100 MB together."""
    return nn.Sequential(*(nn.Linear(350, 350) for _ in range(200)))


def least(function: Callable[[], object]) -> float:
    """Return the least time of a call in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def report(name: str, baseline: Callable[[], object], ours: Callable[[], object]) -> None:
    """Print both times and their ratio."""
    base, subject = least(baseline), least(ours)
    print(f"{name:34s} torch {base:8.1f} ms  ours {subject:8.1f} ms  ratio {subject / base:.2f}")


def main() -> None:
    """Compare reading, reading beside foreign classes, loading into a model, and saving."""
    model, target = network(), network()
    state = model.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        plain, foreign, out = (str(Path(folder) / name) for name in ("a.pth", "b.pth", "c.pth"))
        torch.save({"state_dict": state}, plain)
        torch.save({"state_dict": state, "hub": Foreign()}, foreign)

        def load_by_hand() -> None:
            target.load_state_dict(torch.load(plain, weights_only=True)["state_dict"])

        def save_by_hand() -> None:
            with open(out, "wb") as file:
                torch.save({"state_dict": state}, file)
                file.flush()
                os.fsync(file.fileno())

        report(
            "read a file",
            lambda: torch.load(plain, weights_only=True),
            lambda: read_checkpoint(plain),
        )
        report(
            "read a file with foreign classes",
            lambda: torch.load(foreign, weights_only=False),
            lambda: read_checkpoint(foreign),
        )
        report("load into a model", load_by_hand, lambda: load_checkpoint(target, plain))
        report("save", save_by_hand, lambda: save_checkpoint({"state_dict": state}, out))


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
