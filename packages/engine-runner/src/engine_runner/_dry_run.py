"""Try a config: a few batches through all that it configures, leaving nothing behind."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Literal

from engine_config import Config
from engine_dist import barrier, is_main_process
from engine_logging import MessageHub, MMLogger
from engine_runner._hook import Hook
from engine_runner._integer import integer
from engine_runner._limits import LimitedLoader
from engine_runner._loaders import length_of
from engine_runner._redirected import build_trial, redirected_config
from engine_runner._types import Batch, Outputs
from engine_runner.environment import capture_host_states, restore_host_states
from engine_runner.runner import Runner
from engine_utils import plain_value
from engine_visualization import Visualizer

Name = Literal["train", "checkpoint", "validation", "test"]

_EVALUATIONS: tuple[tuple[Name, str], ...] = (("validation", "val"), ("test", "test"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DryStage:
    """A stage of a dry run that has ended.

    Attributes:
        name: ``"train"``, ``"checkpoint"``, ``"validation"`` or ``"test"``.
        batches: The number of batches; 0 for the checkpoint.
        results: The last losses, the metrics, or the size of the checkpoint in bytes.
        seconds: How long it took.
        passed: Whether it ended without an error.

    Example:
        >>> stage = DryStage(name="test", batches=2, results={"accuracy": 0.5}, seconds=0.31)
        >>> print(stage)
        test        ok  2 batches, accuracy 0.5000 (0.3 s)
    """

    name: Name
    batches: int
    results: Mapping[str, Any]
    seconds: float
    passed: bool = True

    def __str__(self) -> str:
        if not self.passed:
            return f"{self.name:<12}failed after {self.batches} batches ({self.seconds:.1f} s)"
        if self.name == "checkpoint":
            facts = [f"saved and loaded, {self.results['bytes'] / 1000:.1f} kB"]
        else:
            numbers = [f"{name} {_text(value)}" for name, value in self.results.items()]
            facts = [f"{self.batches} batches", *numbers]
        return f"{self.name:<12}ok  {', '.join(facts)} ({self.seconds:.1f} s)"


def dry_run(
    cfg: Config | Mapping[str, Any],
    *,
    batches: int = 2,
    report: Callable[[DryStage], None] | None = None,
) -> list[DryStage]:
    """Train, save, load, validate and test with a few batches, and leave nothing behind.

    The run is that of the config, in a temporary folder: its model, data, optimizers, schedules
    and hooks, those at the end of an epoch included. Tracking backends are replaced by a local
    one, and nothing is copied to an ``out_dir``. Weights are loaded from ``load_from``, but nothing
    is resumed. The config and the parts in it are copied first.

    Args:
        cfg: The config of a run, as for `Runner.from_cfg`.
        batches: The number of batches per stage, and per set of an evaluation.
        report: Called after each stage on the main rank, also after the one that fails.

    Returns:
        The stages, in the order in which they ran. An error of a stage is raised, with a note that
        names the stage.

    Raises:
        ValueError: ``batches`` is not an integer >= 1.

    Example:
        >>> from torch import nn
        >>> dry_run({"model": nn.Linear(1, 1), "work_dir": "runs"})  # nothing but a model
        []
    """
    batches = integer("batches", batches, at_least=1)
    states = capture_host_states()
    stages: list[DryStage] = []

    def note(stage: DryStage) -> None:
        stages.append(stage)
        if report is not None and is_main_process():
            report(stage)

    try:
        with TemporaryDirectory(prefix="engine_dry_run_", ignore_cleanup_errors=True) as folder:
            config = redirected_config(cfg, folder)
            with _released_instances():
                runner = build_trial(config, cfg)
                _DryRun(runner, config, batches, note).run()
                barrier()  # the ranks share the folder of the main one
    finally:
        restore_host_states(states)
    return stages


class _Enough(Exception):
    """Raised to end a loop that does not end with its data."""


class _EndLoops(Hook):
    """End each loop after some batches, and keep the last losses."""

    _is_internal = True
    priority = "LOWEST"

    def __init__(self, batches: int) -> None:
        self.batches = batches
        self.done = 0
        self.outputs: Mapping[str, Any] = {}

    def before_train(self, runner: Runner) -> None:
        """Leave the validation to its own stage; other hooks have found that there is one."""
        runner.train_loop.val_begin = math.inf
        runner.train_loop.val_before_train = False

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Batch = None) -> None:
        """End a loop of the user's that does not read ``stop_training``."""
        if self.done >= self.batches:
            raise _Enough

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Count the batch, and stop after the last one."""
        self.done += 1
        self.outputs = outputs or {}
        runner.train_loop.stop_training = self.done >= self.batches

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Count the batch."""
        self.done += 1

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Count the batch."""
        self.done += 1


class _Begin(LimitedLoader):
    """The first batches of a loader, with its whole length: schedules are those of the real run."""

    def __len__(self) -> int:
        size = length_of(self.loader)
        if size is None:
            raise TypeError(f"{type(self.loader).__name__} has no length")
        return size


class _DryRun:
    """The stages of a dry run, one after the other."""

    def __init__(
        self, runner: Runner, config: Config, batches: int, note: Callable[[DryStage], None]
    ) -> None:
        self._runner, self._config, self._batches, self._note = runner, config, batches, note
        self._hook = _EndLoops(batches)
        runner.register_hook(self._hook)

    def run(self) -> None:
        """Run the stages that the config has, and note each of them."""
        if self._config.get("train_cfg") is not None:
            self._stage("train", self._train)
            self._stage("checkpoint", self._save_and_load)
        for name, mode in _EVALUATIONS:
            if self._config.get(f"{mode}_cfg") is not None:
                self._stage(name, partial(self._evaluate, mode))

    def _stage(self, name: Name, run: Callable[[], Mapping[str, Any]]) -> None:
        self._hook.done = 0
        start = perf_counter()
        results: Mapping[str, Any] = {}
        passed = False
        try:
            results = run()
            passed = True
        except Exception as error:
            error.add_note(f"in the stage {name!r} of the dry run")
            raise
        finally:
            values = plain_value(dict(results), scalars=True)
            seconds, batches = perf_counter() - start, self._hook.done
            self._note(
                DryStage(name=name, batches=batches, results=values, seconds=seconds, passed=passed)
            )

    def _train(self) -> Mapping[str, Any]:
        self._shorten(self._runner.train_loop)
        with suppress(_Enough):
            self._runner.train()
        return {name: value for name, value in self._hook.outputs.items() if "loss" in name}

    def _save_and_load(self) -> Mapping[str, Any]:
        path = self._runner.save_checkpoint(self._runner.work_dir, "dry_run.pth")
        self._runner.resume(path)
        return {"bytes": Path(path).stat().st_size}

    def _evaluate(self, mode: str) -> Mapping[str, Any]:
        loop = self._runner.val_loop if mode == "val" else self._runner.test_loop
        self._shorten(loop)
        metrics: Mapping[str, Any] = self._runner.val() if mode == "val" else self._runner.test()
        return metrics or {}

    def _shorten(self, loop: Any) -> None:
        data = getattr(loop, "dataloader", None)  # a loop of the user's may have none
        if isinstance(data, Mapping):
            loop.dataloader = {name: _Begin(one, self._batches) for name, one in data.items()}
        elif data is not None:
            loop.dataloader = _Begin(data, self._batches)


@contextmanager
def _released_instances() -> Iterator[None]:
    """Close the loggers and trackers that are created within the block, and free their names."""
    kinds: tuple[Any, ...] = (MMLogger, MessageHub, Visualizer)
    earlier = {kind: set(kind._instance_dict) for kind in kinds}
    try:
        yield
    finally:
        for kind in kinds:
            for name in set(kind._instance_dict) - earlier[kind]:
                close = getattr(kind.get_instance(name), "close", None)
                if close is not None:
                    close()
                kind.release_instance(name)


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
