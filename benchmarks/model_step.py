"""Measure the cost of `BaseModel.train_step` around forward and backward.

The baseline is the same step without Engine: a two-layer perceptron (16-32-2), batches of 8, SGD,
one thread, no loop and no hooks. The optimizer wrapper does the minimum, so that only the model's
part is measured: preprocessing data that is on the device, unpacking it, and parsing the losses.
Rounds alternate between the two; the figures are the medians of the rounds.

    python benchmarks/model_step.py [--rounds 21] [--iterations 500]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine_model import BaseModel

BUDGET = 1.10


class Perceptron(BaseModel):
    """The perceptron, with its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, inputs: Tensor, targets: Tensor, mode: str = "tensor") -> dict[str, Tensor]:
        """Return the loss, whatever the mode."""
        return {"loss": functional.cross_entropy(self.layers(inputs), targets)}


class Update:
    """The minimal wrapper that updates parameters."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.context: AbstractContextManager[None] = nullcontext()

    def optim_context(self, model: nn.Module) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return self.context

    def update_params(self, loss: Tensor) -> None:
        """Run backward and step."""
        torch.autograd.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()


def seconds(step: Callable[[], object], iterations: int) -> float:
    """Return the CPU time of one step."""
    begin = time.process_time()
    for _ in range(iterations):
        step()
    return (time.process_time() - begin) / iterations


def main() -> int:
    """Measure, and return 1 if the ratio is over its budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--iterations", type=int, default=500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = Perceptron()
    update = Update(torch.optim.SGD(model.parameters(), lr=0.01))
    batch = [torch.randn(8, 16), torch.randint(0, 2, (8,))]

    def by_hand() -> None:
        loss = functional.cross_entropy(model.layers(batch[0]), batch[1])
        update.update_params(loss)

    def by_model() -> None:
        model.train_step(batch, update)

    for step in (by_hand, by_model):
        seconds(step, options.iterations)
    pairs = [
        (seconds(by_hand, options.iterations), seconds(by_model, options.iterations))
        for _ in range(options.rounds)
    ]
    hand, ours = (statistics.median(along) for along in zip(*pairs, strict=True))
    ratio = statistics.median(mine / theirs for theirs, mine in pairs)
    print(
        f"by hand {hand * 1e6:.1f} us, train_step {ours * 1e6:.1f} us, "
        f"ratio {ratio:.3f} of {BUDGET}"
    )
    return int(ratio > BUDGET)


if __name__ == "__main__":
    raise SystemExit(main())
