"""Measure how long a training waits for a checkpoint that `AsyncWriter` writes.

python benchmarks/checkpoint_stall.py [MEGABYTES of weights, 200 by default]
"""

import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from engine_optim import OptimWrapper
from engine_runner._progress import Progress
from engine_runner.checkpoint import Checkpointer, OptimizerStates
from engine_runner.checkpoint.writers import AsyncWriter, PlainWriter
from engine_runner.strategies import SingleDeviceStrategy

ROUNDS = 5
BUDGET = 0.10


def trained(megabytes: int) -> tuple[nn.Module, OptimizerStates]:
    """Return a model, and the state of its Adam: three times its size together."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    width = 1000
    layers = max(1, megabytes * 1_000_000 // (4 * width * width))
    model = nn.ModuleList(nn.Linear(width, width) for _ in range(layers)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    for param in model.parameters():
        param.grad = torch.ones_like(param)
    optimizer.step()
    optimizer.zero_grad()
    return model, OptimizerStates(OptimWrapper(optimizer))


def seconds(save: Callable[[], None]) -> float:
    """Return the seconds of a call, that of the device included."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    save()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Save with both writers in turn, and print the ratio of the medians."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    model, optimizer = trained(megabytes)
    strategy = SingleDeviceStrategy(next(model.parameters()).device)
    times: dict[str, list[float]] = {"PlainWriter": [], "AsyncWriter": []}
    with tempfile.TemporaryDirectory() as folder:
        writers = {
            "PlainWriter": Checkpointer(strategy, PlainWriter()),
            "AsyncWriter": Checkpointer(strategy, AsyncWriter()),
        }
        for index in range(ROUNDS + 1):
            for name, checkpointer in writers.items():
                path = str(Path(folder) / f"{name}.pth")

                def save(checkpointer: Checkpointer = checkpointer, path: str = path) -> None:
                    states = {"optimizer": optimizer}
                    found = checkpointer.collect(model, states, Progress(iter=1))
                    checkpointer.write(found, path)

                taken = seconds(save)
                checkpointer.finish()
                if index:  # the first one allocates the memory
                    times[name].append(taken)
    plain, stall = (statistics.median(times[name]) for name in ("PlainWriter", "AsyncWriter"))
    ratio = stall / plain
    over = "OVER" if ratio > BUDGET else ""
    print(
        f"{megabytes} MB of weights, 3 times that with Adam: PlainWriter {plain * 1e3:.0f} ms, "
        f"AsyncWriter {stall * 1e3:.0f} ms, ratio {ratio:.3f} of {BUDGET:.2f} {over}".rstrip()
    )


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
