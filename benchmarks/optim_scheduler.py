"""Measure a step of each scheduler over torch's scheduler of the same name.

python benchmarks/optim_scheduler.py
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import SGD, lr_scheduler

import engine_optim as ours

STEPS, ROUNDS = 2000, 15
Make = Callable[[SGD], Any]

PAIRS: dict[str, tuple[Make, Make]] = {
    "constant": (
        lambda o: lr_scheduler.ConstantLR(o, 0.5, total_iters=10**6),
        lambda o: ours.ConstantLR(o, 0.5, end=10**6),
    ),
    "linear": (
        lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=10**6),
        lambda o: ours.LinearLR(o, 0.1, end=10**6),
    ),
    "exponential": (
        lambda o: lr_scheduler.ExponentialLR(o, 0.99999),
        lambda o: ours.ExponentialLR(o, 0.99999),
    ),
    "step": (
        lambda o: lr_scheduler.StepLR(o, 100),
        lambda o: ours.StepLR(o, 100),
    ),
    "multi-step": (
        lambda o: lr_scheduler.MultiStepLR(o, [100, 1000]),
        lambda o: ours.MultiStepLR(o, [100, 1000]),
    ),
    "poly": (
        lambda o: lr_scheduler.PolynomialLR(o, 10**6, power=0.9),
        lambda o: ours.PolyLR(o, power=0.9, end=10**6),
    ),
    "cosine": (
        lambda o: lr_scheduler.CosineAnnealingLR(o, 10**6),
        lambda o: ours.CosineAnnealingLR(o, T_max=10**6),
    ),
    "cosine restart": (
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 10**6),
        lambda o: ours.CosineRestartLR(o, periods=[10**6]),
    ),
    "one cycle": (
        lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=10**6, cycle_momentum=False),
        lambda o: ours.OneCycleLR(o, 0.1, total_steps=10**6),
    ),
}


def optimizer(groups: int) -> SGD:
    """Return an optimizer of that many groups."""
    return SGD([{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(groups)], lr=0.1)


def measure(make: Make, groups: int) -> Callable[[], float]:
    """Return a function that measures a step, in microseconds of processor time."""
    scheduler = make(optimizer(groups))

    def run() -> float:
        start = time.thread_time()
        for _ in range(STEPS):
            scheduler.step()
        return (time.thread_time() - start) / STEPS * 1e6

    return run


def main() -> None:
    """Print the least time of each and their ratio."""
    warnings.filterwarnings("ignore", "Detected call of", UserWarning)
    for groups in (1, 64):
        print(f"{groups} parameter group(s)")
        for name, (theirs, mine) in PAIRS.items():
            baseline, subject = measure(theirs, groups), measure(mine, groups)
            pairs = [(baseline(), subject()) for _ in range(ROUNDS if groups == 1 else 3)]
            torch_time = min(pair[0] for pair in pairs)
            our_time = min(pair[1] for pair in pairs)
            ratio = our_time / torch_time
            print(f"  {name:16s} torch {torch_time:7.2f} us  ours {our_time:7.2f} us  {ratio:.2f}")


if __name__ == "__main__":
    main()
