"""Evaluations that a hook starts within a training, and loaders that both have."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from engine_dataset import ResumableDataLoader
from engine_runner import Hook, Runner
from engine_runner._errors import NonFiniteLossError

POINTS = TensorDataset(torch.linspace(-1, 1, 12)[:, None], torch.ones(12, 1))
BY_ITERATION: dict[str, Any] = {
    "train_cfg": {"by_epoch": False, "max_iters": 7, "val_interval": 2},
    "default_hooks": {
        "checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1},
    },
}


class Seen(Hook):
    """Keeps the samples of each iteration, and the metrics."""

    def __init__(self) -> None:
        self.samples: list[Tensor] = []
        self.metrics: list[float] = []

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.samples.append(data_batch[0].flatten().tolist())

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        self.metrics.append(metrics["error"])


class ValidatesAt(Hook):
    """Validates once at a point, in the last iteration of the first epoch or later.

    Args:
        point: The point.
        stops: Whether the process is asked to stop before.
    """

    def __init__(self, point: str, *, stops: bool) -> None:
        self.point, self.stops, self.done = point, stops, False

    def _act(self, runner: Any, point: str) -> None:
        if point == self.point and runner.iter >= 3 and not self.done:
            self.done = True
            if self.stops:
                os.kill(os.getpid(), signal.SIGTERM)
            runner.val_loop.run()

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        self._act(runner, "before_train_iter")

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self._act(runner, "after_train_iter")

    def after_train_epoch(self, runner: Any) -> None:
        self._act(runner, "after_train_epoch")


class Evaluates(Hook):
    """Calls a method of the run in the first iteration, and acts in the third."""

    def __init__(self, call: str, act: Callable[[Any], Any] = str) -> None:
        self.call, self.act = call, act
        self.modes: list[bool] = []

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter == 0:
            getattr(runner, self.call)()
            self.modes.append(runner.model.training)
        if runner.iter == 2:
            self.act(runner)


@pytest.mark.parametrize("point", ["before_train_iter", "after_train_iter", "after_train_epoch"])
def test_stop_in_a_validation_of_a_hook_resumes_exactly(
    make_runner: Callable[..., Runner], tmp_path: Path, point: str
) -> None:
    whole, first, second = Seen(), Seen(), Seen()
    settled = ValidatesAt(point, stops=False)
    runner = make_runner(custom_hooks=[whole, settled], work_dir=str(tmp_path / "whole"))
    weights = [*runner.train().parameters()]
    with pytest.raises(SystemExit) as ended:
        make_runner(custom_hooks=[first, ValidatesAt(point, stops=True)]).train()
    assert ended.value.code == 128 + signal.SIGTERM
    again = ValidatesAt(point, stops=False)
    again.done = True
    resumed = make_runner(custom_hooks=[second, again], resume=True)
    resumed.train()
    assert first.samples + second.samples == whole.samples
    assert (resumed.iter, resumed.epoch) == (runner.iter, runner.epoch)
    assert all(map(torch.equal, weights, resumed.model.parameters()))


def test_signals_are_handled_after_a_validation_of_a_hook(
    make_runner: Callable[..., Runner],
) -> None:
    hook = Evaluates("val", lambda runner: os.kill(os.getpid(), signal.SIGTERM))
    runner = make_runner(custom_hooks=[hook])
    with pytest.raises(SystemExit):
        runner.train()
    assert (Path(runner.work_dir) / "interrupted.pth").exists()
    assert hook.modes == [True]


def test_losses_are_checked_after_a_validation_of_a_hook(
    make_runner: Callable[..., Runner],
) -> None:
    def break_weights(runner: Any) -> None:
        with torch.no_grad():
            runner.model.linear.weight.fill_(torch.nan)

    with pytest.raises(NonFiniteLossError):
        make_runner(custom_hooks=[Evaluates("val", break_weights)]).train()


@pytest.mark.parametrize("point", ["after_train_iter", "after_train_epoch"])
def test_best_checkpoint_of_a_validation_of_a_hook_has_weights_alone(
    make_runner: Callable[..., Runner], point: str
) -> None:
    saves = {"type": "CheckpointHook", "save_best": "error", "rule": "less", "interval": 9}
    runner = make_runner(
        train_cfg={"by_epoch": True, "max_epochs": 2, "val_begin": 2},
        custom_hooks=[ValidatesAt(point, stops=False)],
        default_hooks={"checkpoint": {**saves, "save_last": False}},
    )
    runner.train()
    manifest = json.loads((Path(runner.work_dir) / "best_error_epoch_0.pth.json").read_text())
    assert manifest["resumable"] is False


def test_training_within_a_training_is_refused(make_runner: Callable[..., Runner]) -> None:
    with pytest.raises(RuntimeError, match=r"train\(\) must be called after a run"):
        make_runner(custom_hooks=[Evaluates("train")]).train()


@pytest.mark.parametrize("workers", [0, 1])
def test_loader_of_training_and_validation_keeps_its_position(
    make_runner: Callable[..., Runner], workers: int
) -> None:
    def train(**changes: Any) -> list[Tensor]:
        loader = ResumableDataLoader(
            POINTS, batch_size=3, num_workers=workers, persistent_workers=bool(workers)
        )
        seen, data = Seen(), {"train_dataloader": loader, "val_dataloader": loader}
        runner = make_runner(custom_hooks=[seen], **data, **BY_ITERATION, **changes)
        runner.train()
        return seen.samples

    whole = train()
    assert sorted(x for batch in whole[:4] for x in batch) == POINTS.tensors[0].flatten().tolist()
    assert train(resume=True, load_from=_checkpoint(make_runner, 3)) == whole[3:]


def test_loaders_with_one_generator_resume_exactly(make_runner: Callable[..., Runner]) -> None:
    def train(**changes: Any) -> Seen:
        # As the notes of PyTorch on reproducibility have it: one generator for all loaders.
        generator, seen = torch.Generator().manual_seed(0), Seen()
        names = ("train_dataloader", "val_dataloader")
        data = {name: DataLoader(POINTS, 3, True, generator=generator) for name in names}
        make_runner(custom_hooks=[seen], **data, **BY_ITERATION, **changes).train()
        return seen

    whole = train()
    resumed = train(resume=True, load_from=_checkpoint(make_runner, 3))
    assert resumed.samples == whole.samples[3:]
    assert resumed.metrics == whole.metrics[1:]


def _checkpoint(make_runner: Callable[..., Runner], iteration: int) -> str:
    """Return the path of a checkpoint of the former run."""
    return str(Path(make_runner().work_dir) / f"iter_{iteration}.pth")
