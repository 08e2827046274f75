"""Bad losses of one of two ranks, and a limit of time that both must keep."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine_dist import all_gather_object
from engine_model import BaseModel, get_state_dict, weights_to_cpu
from engine_runner import Hook, Runner
from engine_runner.hooks import FiniteLossHook

# Rank 0 reads the samples 0, 2, 4 …, rank 1 the others, two per batch.
POINTS = [(torch.tensor([float(value)]), torch.tensor([3.0 * value])) for value in range(-8, 8)]
BAD = 5  # rank 1 has it in its second batch


class Net(BaseModel):
    """Two layers and statistics of the data; the loss of one sample may be NaN."""

    def __init__(self, bad: bool) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.first, self.second = nn.Linear(1, 3), nn.Linear(3, 1)
        self.norm = nn.BatchNorm1d(1, affine=False)
        self.bad = bad

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        self.norm(x)
        loss = (self.second(self.first(x).tanh()) - y).square().mean()
        return {"loss": loss + math.nan if self.bad and POINTS[BAD][0] in x else loss}


def _loader(without: bool) -> dict[str, Any]:
    # Without the second batch of both ranks.
    points = POINTS[:4] + POINTS[8:] if without else POINTS
    return {
        "dataset": points,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 2,
    }


def _run(work_dir: Path, *, bad: bool, without: bool = False, **more: Any) -> Runner:
    return Runner(
        Net(bad),
        str(work_dir),
        param_scheduler={"type": "ExponentialLR", "gamma": 0.9, "by_epoch": False, "end": 99},
        launcher="pytorch",
        randomness={"seed": 0},
        **{
            "train_dataloader": _loader(without),
            "train_cfg": {"by_epoch": True, "max_epochs": 1},
            "optim_wrapper": {"optimizer": {"type": "Adam", "lr": 0.05}},
            **more,
        },
    )


def _facts(runner: Runner, clean: Runner) -> dict[str, Any]:
    states = [
        {name: item.clone() for name, item in weights_to_cpu(get_state_dict(one.model)).items()}
        for one in (runner, clean)
    ]
    weights = {name: item for name, item in states[0].items() if "norm" not in name}
    ranks = all_gather_object(weights)
    hook = next(hook for hook in runner.hooks if isinstance(hook, FiniteLossHook))
    return {
        "equal_ranks": all(
            torch.equal(ranks[0][name], rank[name]) for rank in ranks for name in rank
        ),
        "as_without": all(torch.equal(item, states[1][name]) for name, item in states[0].items()),
        "rates": runner.optim_wrapper.get_lr() == clean.optim_wrapper.get_lr(),
        "summary": hook.summary,
    }


def _compare(on_bad_loss: Any, folder: Path, **more: Any) -> dict[str, Any]:
    """Compare a run with a bad batch on rank 1 with a run without the batch."""
    saves = {"checkpoint": {"type": "CheckpointHook", "interval": 1, "by_epoch": False}}
    settings = {"default_hooks": saves, **more}
    runner = _run(folder / "bad", bad=True, on_bad_loss=on_bad_loss, **settings)
    clean = _run(folder / "clean", bad=False, without=True, **settings)
    runner.train()
    clean.train()
    return _facts(runner, clean)


def _resume_within_a_window(folder: Path) -> dict[str, Any]:
    """Compare a run that is resumed within a bad accumulation window with the whole one.

    The statistics of the ranks differ where the window begins.
    """
    settings: dict[str, Any] = {
        "bad": True,
        "on_bad_loss": "skip",
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "optim_wrapper": {"optimizer": {"type": "Adam", "lr": 0.05}, "accumulative_counts": 2},
        "default_hooks": {
            "checkpoint": {"type": "CheckpointHook", "interval": 5, "by_epoch": False}
        },
    }
    whole = _run(folder / "whole", **settings)
    whole.train()
    start = str(folder / "whole" / "iter_5.pth")
    rest = _run(folder / "rest", **settings, resume=True, load_from=start)
    rest.train()
    return _facts(rest, whole)


def _overflow(folder: Path) -> list[Any]:
    """Return how a training of one iteration ends whose only loss is bad on rank 1 alone."""
    loader = {**_loader(without=False), "batch_size": 8}
    saves = {"checkpoint": {"type": "CheckpointHook", "interval": 1, "by_epoch": False}}
    scaled = {
        "type": "AmpOptimWrapper",
        "dtype": "float16",
        "loss_scale": "dynamic",
        "optimizer": {"type": "SGD", "lr": 0.05},
    }
    runner = _run(
        folder,
        bad=True,
        on_bad_loss="rollback",
        default_hooks=saves,
        train_dataloader=loader,
        optim_wrapper=scaled,
    )
    runner.train()
    hook = next(hook for hook in runner.hooks if isinstance(hook, FiniteLossHook))
    return all_gather_object(hook.summary)


class Slow(Hook):
    """Make the iterations of rank 1 slower than those of rank 0."""

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        time.sleep(0.03 if runner.rank else 0.01)


def _stop(rank: int, folder: Path) -> dict[str, Any]:
    """Return where the ranks stop, and the iteration from which the run continues."""
    loop = {"by_epoch": False, "max_iters": 100_000}
    quiet = {"checkpoint": None}
    runner = _run(
        folder, bad=False, max_time=3, custom_hooks=[Slow()], default_hooks=quiet, train_cfg=loop
    )
    code: Any = 0
    try:
        runner.train()
    except SystemExit as ended:
        code = ended.code
    resumed = _run(folder, bad=False, resume=True, train_cfg=loop, default_hooks=quiet)
    resumed.load_or_resume()
    return {
        "code": code,
        "iterations": all_gather_object(runner.iter + 1),
        "resumed": resumed.iter,
    }


CASES: dict[str, Callable[[int, Path], Any]] = {
    "skip-ddp": lambda rank, folder: _compare("skip", folder),
    "skip-fsdp": lambda rank, folder: _compare(
        "skip", folder, model_wrapper_cfg="MMFullyShardedDataParallel"
    ),
    "rollback-ddp": lambda rank, folder: _compare("rollback", folder),
    "skip-window": lambda rank, folder: _resume_within_a_window(folder),
    "rollback-scaler": lambda rank, folder: _overflow(folder),
    "max_time": _stop,
}
