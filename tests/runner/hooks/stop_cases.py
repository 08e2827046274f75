"""Runs of two ranks that are asked to stop at different points, on one rank or on both.

A hook sends the signals, so that they arrive at a known point. Of both ranks, whatever the point:
they end alike, one checkpoint is saved, and the resumed run ends as one without interruption.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine_dist import all_gather_object, barrier
from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_runner import Hook, Runner

POINTS: dict[str, tuple[str, Callable[[Any, dict[str, Any]], bool]]] = {
    "before the first": ("before_train_epoch", lambda runner, given: runner.iter == 0),
    "iteration": ("before_train_iter", lambda runner, given: runner.iter == 2),
    "last of an epoch": ("before_train_iter", lambda runner, given: runner.iter == 3),
    "between epochs": ("after_train_epoch", lambda runner, given: runner.iter == 4),
    "checkpoint": ("before_save_checkpoint", lambda runner, given: runner.iter >= 3),
    "validation": ("before_val_iter", lambda runner, given: given["batch_idx"] == 1),
    "last of a validation": ("before_val_iter", lambda runner, given: given["batch_idx"] == 2),
    "metrics": ("after_val_epoch", lambda runner, given: runner.iter == 4),
    "last": ("before_train_iter", lambda runner, given: runner.iter == 7),
    "end": ("after_train", lambda runner, given: True),
}


class Net(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.dropout = torch.nn.Dropout(0.2)
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        out = self.linear(self.dropout(x))
        return {"loss": (out - 1).square().mean()} if mode == "loss" else list(out)


class Mean(BaseMetric):
    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [float(sample) for sample in data_samples]

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"mean": sum(results) / len(results)}


class Send(Hook):
    """Send a signal on some ranks at a point, once."""

    def __init__(self, number: int, point: str, ranks: tuple[int, ...]) -> None:
        name, reached = POINTS[point]
        self.sent = False

        def send(runner: Any, *args: Any, **given: Any) -> None:
            if runner.rank in ranks and not self.sent and reached(runner, given):
                self.sent = True
                os.kill(os.getpid(), number)

        setattr(self, name, send)


def _run(folder: Path, *hooks: Hook, **changes: Any) -> Runner:
    loader = {"batch_size": 2, "collate_fn": {"type": "default_collate"}}
    # One rank has four batches of the validation, the other three.
    val = {**loader, "sampler": {"type": "DefaultSampler", "shuffle": False, "round_up": False}}
    return Runner(
        Net(),
        folder,
        train_dataloader={
            **loader,
            "dataset": [(torch.tensor([index / 8, 1.0]),) for index in range(16)],
            "sampler": {"type": "DefaultSampler", "shuffle": True},
        },
        train_cfg={"by_epoch": True, "max_epochs": 2},
        val_dataloader={
            **val,
            "dataset": [(torch.tensor([index / 8, 2.0]),) for index in range(7)],
            "batch_size": 1,
        },
        val_cfg={},
        val_evaluator=Mean(),
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
        randomness={"seed": 1},
        custom_hooks=hooks,
        launcher="pytorch",
        log_level="ERROR",
        **changes,
    )


def _weights(runner: Runner) -> list[float]:
    return torch.cat([weight.detach().flatten() for weight in runner.model.parameters()]).tolist()


def _end(action: Callable[[], object]) -> str:
    try:
        action()
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return repr(error)
    return "done"


def _stop(folder: Path, number: int, point: str, ranks: tuple[int, ...]) -> dict[str, Any]:
    """Stop a run, resume it, and return how the ranks ended and what the resumed run has."""
    end = _end(_run(folder, Send(number, point, ranks)).train)
    ends = all_gather_object(end)
    resumed = _run(folder, resume=True)
    resumed.train()
    return {
        "ends": ends,
        "saved": (folder / "interrupted.pth").exists(),
        "weights": all_gather_object(_weights(resumed)),
        "validations": len(resumed.message_hub.get_scalar("val/mean").data[0]),
    }


def stops(rank: int, folder: Path) -> Any:
    whole = _run(folder / "whole")
    whole.train()
    found: dict[str, Any] = {"whole": _weights(whole)}
    for position, point in enumerate(POINTS):
        ranks = ((1,), (0,), (0, 1))[position % 3]
        found[point] = _stop(folder / str(position), signal.SIGTERM, point, ranks)
    for name in ("SIGHUP", "SIGINT"):
        number = getattr(signal, name)
        found[name] = _stop(folder / name, number, "iteration", (1,))
    barrier()
    return found


def fails(rank: int, folder: Path) -> Any:
    """Return the errors of a run of which one rank fails, while the other is in a collective."""

    class Fail(Hook):
        def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
            if runner.iter == 2 and runner.rank == 1:
                raise ZeroDivisionError("bad sample 7")
            if runner.iter == 2:
                while True:  # neither a collective nor a validation: the thread has to be asked
                    runner.call_hook("after_train_iter", batch_idx=0, data_batch=None)

    end = _end(_run(folder, Fail()).train)
    return all_gather_object(end)


CASES = {"stops": stops, "fails": fails}
