"""Measure the cost of a training step of two processes over `DistributedDataParallel` by hand.

A perceptron (256-512-512-10, 1.6 MB) is trained on batches of 64 with SGD, over gloo, one thread
per process. By hand: forward of `DistributedDataParallel`, loss, backward, step, zero_grad. By
Engine: `MMDistributedDataParallel.train_step` with an `OptimWrapper`, of a model without and of one
with its own ``train_step``. Both ways train the same wrapper, which is a `DistributedDataParallel`:
two copies differ by more than the ways, as their memory is placed differently. Their steps
alternate, and the figures are medians of the wall times, as ranks wait for each other.

    python benchmarks/model_ddp_step.py [--steps 1500]
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from engine_model import BaseModel, MMDistributedDataParallel
from engine_optim import OptimWrapper

BUDGET = 1.05
WORLD = 2


class Perceptron(BaseModel):
    """The perceptron, with its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
        )

    def forward(self, inputs: Tensor, targets: Tensor, mode: str = "loss") -> dict[str, Tensor]:
        """Return the loss, whatever the mode."""
        return {"loss": functional.cross_entropy(self.layers(inputs), targets)}


class OwnStep(Perceptron):
    """The perceptron, with its own step."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        """Train on one batch."""
        with optim_wrapper.optim_context(self):
            losses = self(*self.data_preprocessor(data, True), mode="loss")
        loss, logs = self.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return logs


Steps = dict[str, tuple[Callable[[], object], Callable[[], object]]]


def steps_of(batch: list[Tensor]) -> Steps:
    """Return for each model its step by hand and by Engine."""
    return {
        "train_step": both(MMDistributedDataParallel(Perceptron()), batch),
        "own train_step": both(MMDistributedDataParallel(OwnStep()), batch),
    }


def both(
    wrapper: MMDistributedDataParallel, batch: list[Tensor]
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return the step by hand and by Engine of one wrapper and one optimizer."""
    optimizer = torch.optim.SGD(wrapper.parameters(), lr=0.01)

    def by_hand() -> None:
        wrapper(*batch)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()

    return by_hand, partial(wrapper.train_step, batch, OptimWrapper(optimizer))


def measure(rank: int, store: str, count: int) -> int:
    """Measure on one rank; rank 0 prints. Return 1 if a ratio is over the budget."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=WORLD
    )
    steps = steps_of([torch.randn(64, 256), torch.randint(0, 10, (64,))])
    over = False
    for name, ways in steps.items():
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(count + 50):
            # Each way is the first as often as the other.
            for way in (0, 1) if number % 2 else (1, 0):
                begin = time.perf_counter()
                ways[way]()
                times[way].append(time.perf_counter() - begin)
        hand, own = (statistics.median(one[50:]) for one in times)
        over |= own / hand > BUDGET
        if rank == 0:
            print(
                f"{name}: {own * 1e6:.0f} us, by hand {hand * 1e6:.0f} us, ratio {own / hand:.3f} "
                f"(budget {BUDGET:.2f})"
            )
    distributed.destroy_process_group()
    return int(over)


def main() -> int:
    """Fork the ranks, and return 1 if a ratio is over the budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        children = []
        for rank in range(WORLD):
            child = os.fork()
            if not child:
                code = measure(rank, f"{folder}/store", options.steps)
                sys.stdout.flush()
                os._exit(code)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return max(codes)


if __name__ == "__main__":
    raise SystemExit(main())
