"""Measure the cost of the loop and its default hooks over a loop without Engine.

A two-layer perceptron (16-32-2), batches of 8, SGD with momentum, a schedule stepped each iteration
and the loss logged every 50: both loops do the same work on the same data in the same process, on
one thread. The figure is CPU time per iteration after a warm-up. Rounds alternate between the two,
so that a change in the load of the machine affects both; the result is the median of the rounds.

    python benchmarks/loop_overhead.py [--iterations 2000] [--rounds 9] [--profile]
"""

import argparse
import contextlib
import cProfile
import io
import logging
import pstats
import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, RandomSampler

from engine_model import BaseModel
from engine_runner import Hook, Runner

BATCH, INTERVAL, LR = 8, 50, 0.01
BUDGET = 1.15
PEERS = "Ignite 1.4, Accelerate 2.0, MMEngine 2.2, Transformers' Trainer 3.3, Lightning 4.5"


class Points(Dataset[tuple[Tensor, Tensor]]):
    """Hold random points of 16 coordinates and two classes, as many as a round needs."""

    def __init__(self, iterations: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.points = torch.randn(iterations * BATCH, 16, generator=generator)
        self.labels = (self.points.sum(1) > 0).long()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.points[index], self.labels[index]


def network() -> nn.Sequential:
    """Return the perceptron."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))


class Perceptron(BaseModel):
    """The perceptron as a model of the runner."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, points: Tensor, labels: Tensor, mode: str = "tensor") -> Any:
        """Return the loss."""
        return {"loss": functional.cross_entropy(self.network(points), labels)}


class ByHand:
    """The loop without Engine, with only what this training needs."""

    def __init__(self, iterations: int) -> None:
        self.model = network()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=LR, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 10**6)
        data = Points(iterations)
        self.loader = DataLoader(data, batch_size=BATCH, sampler=RandomSampler(data))
        self.log = logging.getLogger("by_hand")

    def round(self) -> float:
        """Train an epoch, and return the CPU seconds per iteration."""
        losses: list[Tensor] = []
        start = time.process_time()
        self.model.train()
        for index, (points, labels) in enumerate(self.loader):
            loss = functional.cross_entropy(self.model(points), labels)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.scheduler.step()
            losses.append(loss.detach())
            if (index + 1) % INTERVAL == 0:
                mean = torch.stack(losses).mean().item()
                self.log.info(
                    "[%d] loss %.4f lr %.2e", index, mean, self.scheduler.get_last_lr()[0]
                )
                losses.clear()
        return (time.process_time() - start) / len(self.loader)


class Rounds(Hook):
    """Run rounds of the loop without Engine between the epochs of the runner."""

    priority = "VERY_LOW"

    def __init__(self, by_hand: ByHand) -> None:
        self.by_hand = by_hand
        self.pairs: list[tuple[float, float]] = []
        self._start = 0.0

    def before_train_epoch(self, runner: Runner) -> None:
        """Run the other loop, then start the timer."""
        reference = self.by_hand.round()
        self.pairs.append((reference, 0.0))
        self._start = time.process_time()

    def after_train_epoch(self, runner: Runner) -> None:
        """Store the time of the epoch."""
        spent = (time.process_time() - self._start) / len(runner.train_dataloader)
        self.pairs[-1] = (self.pairs[-1][0], spent)


def build_runner(iterations: int, epochs: int, folder: str, hooks: list[Hook]) -> Runner:
    """Return a run with all default hooks, logging every 50 iterations."""
    return Runner(
        Perceptron(),
        folder,
        train_dataloader={
            "dataset": Points(iterations),
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
            "batch_size": BATCH,
        },
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": LR, "momentum": 0.9}},
        param_scheduler={"type": "CosineAnnealingLR", "T_max": 10**6, "by_epoch": False},
        default_hooks={
            "logger": {"type": "LoggerHook", "interval": INTERVAL},
            "checkpoint": {"type": "CheckpointHook", "interval": 10**6, "save_last": False},
        },
        custom_hooks=hooks,
        randomness={"seed": 0},
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard what the run prints; formatting and writing it still take their time."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def main() -> None:
    """Measure, and print the ratio and the cost per hook."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--profile", action="store_true", help="list the functions by own time")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    by_hand = ByHand(arguments.iterations)
    handler = logging.StreamHandler(io.StringIO())
    by_hand.log.addHandler(handler)
    by_hand.log.setLevel(logging.INFO)
    rounds = Rounds(by_hand)
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder, quiet():
        runner = build_runner(arguments.iterations, arguments.rounds + 2, folder, [rounds])
        if arguments.profile:
            profile.enable()
        runner.train()
        profile.disable()
    pairs = rounds.pairs[2:]  # the first rounds warm up caches and allocators
    ratio = statistics.median(ours / reference for reference, ours in pairs)
    reference, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"by hand {reference * 1e6:7.1f} us CPU per iteration")
    print(f"runner  {ours * 1e6:7.1f} us CPU per iteration, all default hooks on")
    print(f"ratio   {ratio:7.3f} (budget {BUDGET}; {PEERS})")
    if arguments.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    else:
        print_shares(arguments.iterations)


def print_shares(iterations: int) -> None:
    """Print the CPU time of the calls of each hook."""
    costs: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, quiet():
        runner = build_runner(iterations, 1, folder, [])
        for hook in runner.hooks:
            for point in ("before_train_iter", "after_train_iter"):
                if point in hook.get_triggered_stages():
                    _time_calls(hook, point, costs)
        runner.train()
    empty = _clock_cost()
    print("cost per hook (us per iteration, without the cost of the timer):")
    for name, seconds in sorted(costs.items(), key=lambda item: -item[1]):
        print(f"  {name:<36}{(seconds / iterations - empty) * 1e6:6.2f}")


def _time_calls(hook: Hook, point: str, costs: dict[str, float]) -> None:
    method = getattr(hook, point)
    name = f"{type(hook).__name__}.{point}"
    costs[name] = 0.0

    def timed(runner: Runner, **kwargs: Any) -> None:
        start = time.perf_counter()
        method(runner, **kwargs)
        costs[name] += time.perf_counter() - start

    setattr(hook, point, timed)


def _clock_cost() -> float:
    start = time.perf_counter()
    for _ in range(10_000):
        time.perf_counter()
    return (time.perf_counter() - start) / 10_000


if __name__ == "__main__":
    main()
