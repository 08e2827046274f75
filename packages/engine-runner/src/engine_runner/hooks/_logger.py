"""Write the lines of the log, and the numbers of the curves."""

import inspect
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine_fileio import copyfile_from_local, dump, join_path
from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._integer import integer
from engine_runner._loaders import length_of
from engine_runner._protocols import Run
from engine_runner._start_report import log_start
from engine_runner._types import Batch, Config, Metrics, Outputs
from engine_runner.checkpoint import folder_of, require_writable
from engine_utils import expand_home, plain_value


@HOOKS.register_module()
class LoggerHook(Hook):
    """Write what the log processor formats to the log, and its numbers to the visualizer.

    Only here does a training iteration read tensors from the device, and only every ``interval``
    iterations. The main rank alone writes.

    Args:
        interval: Iterations from one log line to the next, in training, validation and test.
        ignore_last: Leave out the line of the last iterations of an epoch if they are fewer than
            ``interval``. An epoch shorter than ``interval`` logs its last iteration all the same.
            Where data has no length, that line is written when the epoch has ended.
        interval_exp_name: Iterations from one mention of the experiment's name to the next.
        out_dir: Where to copy the log files when the run ends, under the last part of
            ``work_dir``; any storage of engine-fileio.
        out_suffix: Endings of the files to copy.
        keep_local: Keep the local files after copying.
        file_client_args: Older form of ``backend_args``.
        log_metric_by_epoch: Record validation metrics at the epoch, rather than the iteration.
        backend_args: Arguments of the storage backend of ``out_dir``.

    Raises:
        ValueError: An interval is not positive, both backend arguments are given, or
            ``keep_local`` is false although nothing is copied.

    Attributes:
        json_log_path: The name of the file of numbers, beside ``scalars.json``, that is named after
            the run's start, and of the file of test metrics; None before the run.
        backend_args: Arguments of the storage backend of ``out_dir``, or None.

    Example:
        >>> LoggerHook(keep_local=False)
        Traceback (most recent call last):
        ...
        ValueError: keep_local=False would delete the only copy of the log; set out_dir
    """

    priority = "BELOW_NORMAL"

    def __init__(
        self,
        interval: int = 10,
        ignore_last: bool = True,
        interval_exp_name: int = 1000,
        out_dir: str | Path | None = None,
        out_suffix: str | tuple[str, ...] = (".json", ".log", ".py", "yaml"),
        keep_local: bool = True,
        file_client_args: Config | None = None,
        log_metric_by_epoch: bool = True,
        backend_args: Config | None = None,
    ) -> None:
        if file_client_args is not None and backend_args is not None:
            raise ValueError("give LoggerHook either backend_args or the older file_client_args")
        if file_client_args is not None:
            message = "file_client_args of LoggerHook is deprecated; use backend_args"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
        if out_dir is None and not keep_local:
            raise ValueError("keep_local=False would delete the only copy of the log; set out_dir")
        self.interval = integer("interval", interval, at_least=1)
        self.ignore_last = ignore_last
        self.interval_exp_name = integer("interval_exp_name", interval_exp_name, at_least=1)
        self.out_dir = None if out_dir is None else os.fspath(expand_home(out_dir))
        self.out_suffix = out_suffix
        self.keep_local = keep_local
        self.log_metric_by_epoch = log_metric_by_epoch
        self.backend_args = dict(backend_args or file_client_args or {}) or None
        self.json_log_path: str | None = None
        self._folder = ""
        self._has_begun = False
        self._short_end: float = 0
        self._count = 0
        self._logged = 0
        self._evaluated = 0

    def before_run(self, runner: Run) -> None:
        """Find where the log goes, so that a wrong ``out_dir`` is reported now, not at the end.

        Raises:
            SettingsError: ``out_dir`` cannot be written to.
        """
        self.json_log_path = f"{runner.timestamp}.json"
        self._has_begun = False
        if self.out_dir is not None:
            place = folder_of(runner.work_dir, self.out_dir, self.backend_args)
            require_writable(place, "out_dir of LoggerHook", checks=runner.is_main)
            self._folder = place.path
            runner.logger.info(f"Logs will be copied to {self._folder} when the run ends.")

    def before_train(self, runner: Run) -> None:
        """Log the start, and note the last iteration of an epoch if its line is due."""
        self._begin(runner, "train", "val")
        size: float | None = runner.max_iters
        if runner.trains_by_epoch:
            size = runner.train_loop.epoch_length
        short = size is not None and (not self.ignore_last or size < self.interval)
        self._short_end = size if short and size is not None else 0

    def before_train_epoch(self, runner: Run) -> None:
        """Count from the start of the epoch."""
        self._count = self._logged = 0

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Log the training at every interval."""
        if (runner.iter + 1) % self.interval_exp_name == 0:
            runner.logger.info(f"Exp name: {runner.experiment_name}")
        self._count = count = batch_idx + 1
        if count % self.interval == 0 or count == self._short_end:
            self._log_training(runner)

    def after_train_epoch(self, runner: Run) -> None:
        """Log the last iteration of an epoch that is shorter than the interval.

        In an epoch of a length that is known, `after_train_iter` has logged it.
        """
        if self._count == self._logged or (self.ignore_last and self._count >= self.interval):
            return
        # The loop has counted the iteration since.
        runner.progress.iter -= 1
        try:
            self._log_training(runner)
        finally:
            runner.progress.iter += 1

    def _log_training(self, runner: Run) -> None:
        self._logged = self._count
        tag, line = runner.log_processor.get_log_after_iter(runner, self._count - 1, "train")
        runner.logger.info(line)
        runner.visualizer.add_scalars(tag, step=runner.iter + 1, file_path=self.json_log_path)
        runner.call_hook("after_log")  # for hooks that read what is read from the device by now

    def logs_within(self, batch_idx: int, iterations: int = 1) -> bool:
        """Return whether one of the next training iterations is logged.

        Args:
            batch_idx: Index of the first batch in the epoch, from 0.
            iterations: The number of iterations to look at.
        """
        counts = range(batch_idx + 1, batch_idx + 1 + iterations)
        return any(count % self.interval == 0 or count == self._short_end for count in counts)

    def before_val(self, runner: Run) -> None:
        """Log the start of a validation that is not part of a training."""
        self._begin(runner, "val")

    def before_test(self, runner: Run) -> None:
        """Log the start of a test."""
        self._begin(runner, "test")

    def _begin(self, runner: Run, *modes: str) -> None:
        if not self._has_begun:
            self._has_begun = True
            log_start(runner, *modes)

    def before_val_epoch(self, runner: Run) -> None:
        """Note where the numbers of this validation begin."""
        self._begin_evaluation(runner, "val")

    def before_test_epoch(self, runner: Run) -> None:
        """Note where the numbers of this test begin."""
        self._begin_evaluation(runner, "test")

    def _begin_evaluation(self, runner: Run, mode: str) -> None:
        self._evaluated = 0
        begin = getattr(runner.log_processor, "begin_evaluation", None)
        if begin is not None:  # a log processor of the user's may have only the documented methods
            begin(runner, mode)

    def after_val_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Log the pace of the validation at every interval."""
        self._evaluated += 1
        if self.every_n_inner_iters(batch_idx, self.interval):
            _, line = runner.log_processor.get_log_after_iter(runner, batch_idx, "val")
            runner.logger.info(line)

    def after_test_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Log the pace of the test at every interval."""
        self._evaluated += 1
        if self.every_n_inner_iters(batch_idx, self.interval):
            _, line = runner.log_processor.get_log_after_iter(runner, batch_idx, "test")
            runner.logger.info(line)

    def after_val_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Log the metrics of a validation."""
        size = self._evaluated or length_of(runner.val_dataloader) or 0
        tag, line = runner.log_processor.get_log_after_epoch(runner, size, "val")
        runner.logger.info(line)
        by_epoch = self.log_metric_by_epoch and runner.trains_by_epoch
        more: dict[str, Any] = {"file_path": self.json_log_path}
        if by_epoch and _takes_keywords(runner.visualizer.add_scalars):
            more["iteration"] = runner.iter  # for a service whose x axis is the iteration
        step = runner.epoch if by_epoch else runner.iter
        runner.visualizer.add_scalars(tag, step=step, **more)

    def after_test_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Log the metrics of a test, and write them to ``<timestamp>.json`` in the log folder."""
        size = self._evaluated or length_of(runner.test_dataloader) or 0
        tag, line = runner.log_processor.get_log_after_epoch(
            runner, size, "test", with_non_scalar=True
        )
        runner.logger.info(line)
        if runner.is_main:
            dump(_plain(tag), Path(runner.log_dir) / f"{runner.timestamp}.json")

    def after_run(self, runner: Run) -> None:
        """Copy the log files to ``out_dir``, and remove the local ones if asked to."""
        if self.out_dir is None or not runner.is_main:
            return
        folder = Path(runner.log_dir)
        for path in sorted({*folder.rglob("*"), *_continued_records(runner)}):
            if path.is_file() and path.name.endswith(self.out_suffix):
                relative = path.relative_to(folder.parent).as_posix()
                target = join_path(self._folder, relative, backend_args=self.backend_args)
                copyfile_from_local(path, target, backend_args=self.backend_args)
                if not self.keep_local and path.is_relative_to(folder):
                    path.unlink()
                runner.logger.info(f"{path} was copied to {target}.")


def _continued_records(runner: Run) -> Iterator[Path]:
    """Yield the files of the records that a resumed run has continued, beside its own folder."""
    own, work_dir = Path(runner.log_dir), Path(runner.log_dir).parent
    for folder in getattr(runner.visualizer, "save_dirs", []):
        if folder.is_relative_to(work_dir) and not folder.is_relative_to(own):
            yield from folder.rglob("*")


def _plain(tag: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics as values of JSON; of any other, such as a table, its text."""
    return {
        name: value if isinstance(value, int | float | str | list | dict) else str(value)
        for name, value in plain_value(tag, scalars=True).items()
    }


def _takes_keywords(function: Callable[..., Any]) -> bool:
    """Return whether a function takes any keyword; that of a user's visualizer may not."""
    parameters = inspect.signature(function).parameters.values()
    return any(one.kind is one.VAR_KEYWORD for one in parameters)
