"""Measure the cost of the loop and its default hooks over a loop without Engine.

A two-layer perceptron (16-32-2), batches of 8, SGD with momentum, a schedule stepped each iteration
and the loss logged every 50: both loops do the same work on the same data in the same process, on
one thread. The figure is CPU time per iteration after a warm-up. Rounds alternate between the two,
so that a change in the load of the machine affects both; the result is the median of the rounds.

Cases:
    plain: as above.
    features: four losses, gradients clipped by their norm, an exponential moving average.
    late: as plain, but at iteration 1,000,000, with as many logged values in the message hub.
    compiled, compiled_step: as plain, with the forward pass and the loss compiled in both loops.
    validation: a pass over the validation data with an accuracy, without training.

    python benchmarks/loop_overhead.py [--case plain] [--iterations 2000] [--rounds 9] [--profile]
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
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, RandomSampler, SequentialSampler

from engine_evaluator import BaseMetric
from engine_logging import HistoryBuffer
from engine_model import BaseModel
from engine_runner import Hook, Runner

BATCH, INTERVAL, LR, MAX_NORM, MOMENTUM = 8, 50, 0.01, 1.0, 0.0002
BUDGETS = {"plain": 1.15, "features": 1.15, "late": 1.15, "validation": 1.10}
TARGETS = {"compiled": "model", "compiled_step": "step"}
BUDGETS |= dict.fromkeys(TARGETS, 1.15)
LATE = 1_000_000
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


def losses_of(outputs: Tensor, labels: Tensor, count: int) -> list[Tensor]:
    """Return one loss, or four."""
    loss = functional.cross_entropy(outputs, labels)
    if count == 1:
        return [loss]
    target = functional.one_hot(labels, 2).to(outputs)
    return [
        loss,
        functional.mse_loss(outputs, target),
        functional.l1_loss(outputs, target),
        functional.smooth_l1_loss(outputs, target),
    ]


class Perceptron(BaseModel):
    """The perceptron as a model of the runner."""

    def __init__(self, losses: int = 1) -> None:
        super().__init__()
        self.network = network()
        self.losses = losses

    def forward(self, points: Tensor, labels: Tensor, mode: str = "tensor") -> Any:
        """Return the losses, or the predicted classes."""
        outputs = self.network(points)
        if mode == "predict":
            return outputs.argmax(1)
        losses = losses_of(outputs, labels, self.losses)
        if len(losses) == 1:
            return {"loss": losses[0]}
        return {f"loss_{number}": loss for number, loss in enumerate(losses)}


class Accuracy(BaseMetric):
    """The share of points whose class is right."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        """Keep the number of right answers of a batch."""
        self.results.append((data_samples == data_batch[1]).sum())

    def compute_metrics(self, results: list[Tensor]) -> dict[str, float]:
        """Return the accuracy."""
        return {"accuracy": float(torch.stack(results).sum()) / (BATCH * len(results))}


class ByHand:
    """The loop without Engine, with only what this case needs."""

    def __init__(self, case: str, iterations: int) -> None:
        self.case = case
        self.model = network()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=LR, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 2 * LATE)
        average = get_ema_multi_avg_fn(1 - MOMENTUM)  # type: ignore[no-untyped-call]  # torch's
        self.average = AveragedModel(self.model, multi_avg_fn=average)
        data = Points(iterations)
        sampler = SequentialSampler(data) if case == "validation" else RandomSampler(data)
        self.loader = DataLoader(data, batch_size=BATCH, sampler=sampler)
        self.losses = torch.compile(self._losses) if case in TARGETS else self._losses
        self.log = logging.getLogger("by_hand")

    def round(self) -> float:
        """Run a pass over the data, and return the CPU seconds per iteration."""
        start = time.process_time()
        if self.case == "validation":
            self._validate()
        else:
            self._train(4 if self.case == "features" else 1)
        return (time.process_time() - start) / len(self.loader)

    def _losses(self, points: Tensor, labels: Tensor, count: int) -> list[Tensor]:
        return losses_of(self.model(points), labels, count)

    def _train(self, count: int) -> None:
        history: list[list[Tensor]] = []
        self.model.train()
        for index, (points, labels) in enumerate(self.loader):
            losses = self.losses(points, labels, count)
            loss = sum(losses[1:], losses[0])
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            if count > 1:
                clip_grad_norm_(self.model.parameters(), MAX_NORM)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.scheduler.step()
            if count > 1:
                self.average.update_parameters(self.model)
            history.append([one.detach() for one in losses])
            if (index + 1) % INTERVAL == 0:
                columns = zip(*history, strict=True)
                means = [torch.stack(column).mean().item() for column in columns]
                shown = " ".join(f"loss_{number} {mean:.4f}" for number, mean in enumerate(means))
                self.log.info("[%d] %s lr %.2e", index, shown, self.scheduler.get_last_lr()[0])
                history.clear()

    @torch.no_grad()
    def _validate(self) -> None:
        right: list[Tensor] = []
        self.model.eval()
        for index, (points, labels) in enumerate(self.loader):
            right.append((self.model(points).argmax(1) == labels).sum())
            if (index + 1) % INTERVAL == 0:
                self.log.info("[%d]", index)
        self.log.info("accuracy %.4f", float(torch.stack(right).sum()) / (BATCH * len(right)))


class Rounds(Hook):
    """Run rounds of the loop without Engine between the passes of the runner."""

    priority = "VERY_LOW"

    def __init__(self, by_hand: ByHand) -> None:
        self.by_hand = by_hand
        self.pairs: list[tuple[float, float]] = []
        self._start = 0.0

    def begin(self) -> None:
        """Run the other loop, then start the timer."""
        reference = self.by_hand.round()
        self.pairs.append((reference, 0.0))
        self._start = time.process_time()

    def end(self) -> None:
        """Store the time of the pass."""
        spent = (time.process_time() - self._start) / len(self.by_hand.loader)
        self.pairs[-1] = (self.pairs[-1][0], spent)

    def before_train_epoch(self, runner: Runner) -> None:
        """Begin a round of a case that trains."""
        self.begin()

    def after_train_epoch(self, runner: Runner) -> None:
        """End a round of a case that trains."""
        self.end()


def build_runner(case: str, iterations: int, epochs: int, folder: str, hooks: list[Any]) -> Runner:
    """Return a run with all default hooks, logging every 50 iterations."""
    data = {
        "dataset": Points(iterations),
        "sampler": {"type": "DefaultSampler", "shuffle": case != "validation"},
        "collate_fn": {"type": "default_collate"},
        "batch_size": BATCH,
    }
    optim_wrapper: dict[str, Any] = {"optimizer": {"type": "SGD", "lr": LR, "momentum": 0.9}}
    if case == "features":
        optim_wrapper["clip_grad"] = {"max_norm": MAX_NORM}
        hooks = [*hooks, {"type": "EMAHook", "momentum": MOMENTUM}]
    validation: dict[str, Any] = {}
    if case == "validation":
        validation = {"val_dataloader": data, "val_cfg": {}, "val_evaluator": Accuracy()}
    runner = Runner(
        Perceptron(4 if case == "features" else 1),
        folder,
        train_dataloader=data,
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper=optim_wrapper,
        param_scheduler={"type": "CosineAnnealingLR", "T_max": 2 * LATE, "by_epoch": False},
        default_hooks={
            "logger": {"type": "LoggerHook", "interval": INTERVAL},
            "checkpoint": {"type": "CheckpointHook", "interval": 10**6, "save_last": False},
        },
        custom_hooks=hooks,
        randomness={"seed": 0},
        compile={"target": TARGETS[case]} if case in TARGETS else False,
        **validation,
    )
    if case == "late":
        history = [1.0] * LATE
        for key in ("loss", "lr", "time", "data_time"):
            runner.message_hub.log_scalars[f"train/{key}"] = HistoryBuffer(history, [1] * LATE)
        runner.progress.iter = LATE
    return runner


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard what the run prints; formatting and writing it still take their time."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def main() -> None:
    """Measure, and print the ratio and the cost per hook."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=BUDGETS, default="plain")
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--profile", action="store_true", help="list the functions by own time")
    arguments = parser.parse_args()
    case, iterations = arguments.case, arguments.iterations
    torch.set_num_threads(1)
    by_hand = ByHand(case, iterations)
    by_hand.log.addHandler(logging.StreamHandler(io.StringIO()))
    by_hand.log.setLevel(logging.INFO)
    rounds = Rounds(by_hand)
    profile = cProfile.Profile()
    passes = arguments.rounds + 2
    with tempfile.TemporaryDirectory() as folder, quiet():
        runner = build_runner(case, iterations, passes, folder, [rounds])
        if arguments.profile:
            profile.enable()
        run(runner, case, rounds, passes)
        profile.disable()
    pairs = rounds.pairs[2:]  # the first rounds warm up caches and allocators
    ratio = statistics.median(ours / reference for reference, ours in pairs)
    reference, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    peers = f"; {PEERS}" if case == "plain" else ""
    print(f"by hand {reference * 1e6:7.1f} us CPU per iteration")
    print(f"runner  {ours * 1e6:7.1f} us CPU per iteration, all default hooks on")
    print(f"ratio   {ratio:7.3f} (budget {BUDGETS[case]}{peers})")
    if arguments.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    else:
        print_shares(case, iterations)


def run(runner: Runner, case: str, rounds: Rounds, passes: int) -> None:
    """Run the passes of a case."""
    if case != "validation":
        runner.train()
        return
    for _ in range(passes):
        rounds.begin()
        runner.val_loop.run()  # without what `Runner.val` does once, such as loading weights
        rounds.end()


def print_shares(case: str, iterations: int) -> None:
    """Print the CPU time of the calls of each hook."""
    costs: dict[str, float] = {}
    mode = "val" if case == "validation" else "train"
    with tempfile.TemporaryDirectory() as folder, quiet():
        runner = build_runner(case, iterations, 1, folder, [])
        for hook in runner.hooks:
            for point in (f"before_{mode}_iter", f"after_{mode}_iter"):
                if point in hook.get_triggered_stages():
                    _time_calls(hook, point, costs)
        runner.val_loop.run() if mode == "val" else runner.train()
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
