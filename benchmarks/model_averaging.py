"""Measure an update of an averaged model, against `torch.optim.swa_utils` with the same formula.

The models have as many parameters as a small network (12 tensors), a ResNet-50 (161 tensors) and a
transformer of 24 layers (292 tensors). Each parameter is scaled down, so that the comparison shows
the work per parameter and not the memory bandwidth. The last row has ResNet-50's full size.
Rounds alternate between the two; the figure is the median of the rounds.

    python benchmarks/model_averaging.py [--rounds 15]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from engine_model import BaseAveragedModel, ExponentialMovingAverage, StochasticWeightAverage

BUDGET = 1.2


def network(tensors: int, width: int) -> nn.Module:
    """Return a model of square linear layers: one weight and one bias each."""
    return nn.Sequential(*(nn.Linear(width, width) for _ in range(tensors // 2)))


def seconds(update: Callable[[], None], repeats: int) -> float:
    """Return the CPU time of one update."""
    begin = time.process_time()
    for _ in range(repeats):
        update()
    return (time.process_time() - begin) / repeats


def compare(
    model: nn.Module, ours: BaseAveragedModel, theirs: AveragedModel, rounds: int
) -> tuple[float, float]:
    """Return the median seconds per update, ours and torch's."""
    for average in (ours, theirs):
        average.update_parameters(model)
    repeats = max(1, int(0.02 / seconds(lambda: theirs.update_parameters(model), 3)))
    pairs = [
        (
            seconds(lambda: ours.update_parameters(model), repeats),
            seconds(lambda: theirs.update_parameters(model), repeats),
        )
        for _ in range(rounds)
    ]
    return tuple(statistics.median(along) for along in zip(*pairs, strict=True))


def main() -> int:
    """Measure all, and return 1 if a ratio is over its budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    worst = 0.0
    for name, tensors, width in (
        ("12 tensors", 12, 32),
        ("161 tensors", 162, 32),
        ("292 tensors", 292, 32),
        ("25 M parameters", 162, 555),
    ):
        model = network(tensors, width)
        for rule, ours, multi in (
            (
                "EMA",
                ExponentialMovingAverage(model, momentum=0.001),
                get_ema_multi_avg_fn(0.999),  # type: ignore[no-untyped-call]  # torch leaves it bare
            ),
            (
                "SWA",
                StochasticWeightAverage(model),
                get_swa_multi_avg_fn(),  # type: ignore[no-untyped-call]  # torch leaves it bare
            ),
        ):
            mine, torchs = compare(model, ours, AveragedModel(model, multi_avg_fn=multi), rounds)
            worst = max(worst, mine / torchs)
            print(
                f"{rule}, {name:16} {mine * 1e6:9.1f} us, torch {torchs * 1e6:9.1f} us, "
                f"ratio {mine / torchs:.2f} of {BUDGET}"
            )
    return int(worst > BUDGET)


if __name__ == "__main__":
    raise SystemExit(main())
