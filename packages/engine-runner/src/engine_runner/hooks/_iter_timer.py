"""Record how long an iteration takes, and how long it waits for data."""

from time import perf_counter

from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._protocols import Run
from engine_runner._types import Batch, Outputs


@HOOKS.register_module()
class IterTimerHook(Hook):
    """Record ``time`` and ``data_time`` of each iteration in seconds, and ``eta``.

    ``eta`` is infinity for data without a length.

    ``time`` runs from the end of one iteration to the end of the next, ``data_time`` to the moment
    the batch is there. The time of validation and checkpointing between iterations is not counted.
    On an accelerator these are times of the host: the device is not synchronized for them.

    Example:
        >>> len(IterTimerHook().get_triggered_stages())
        11
    """

    priority = "NORMAL"

    def __init__(self) -> None:
        self._last = 0.0
        self._elapsed = 0.0
        self._iterations = 0
        self._left: int | float = 0

    def before_train(self, runner: Run) -> None:
        """Start counting at the iteration from which the run starts or resumes."""
        self._elapsed = 0.0
        self._iterations = 0
        self._left = runner.max_iters - runner.iter
        self._last = perf_counter()

    def before_train_epoch(self, runner: Run) -> None:
        """Start the clock."""
        self._last = perf_counter()

    def before_train_iter(self, runner: Run, batch_idx: int, data_batch: Batch = None) -> None:
        """Record how long the batch took to arrive."""
        runner.message_hub.update_scalar("train/data_time", perf_counter() - self._last)

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Record the time of the iteration and what is left at the average so far."""
        now = perf_counter()
        spent = now - self._last
        self._last = now
        self._elapsed += spent
        self._iterations += 1
        hub = runner.message_hub
        hub.update_scalar("train/time", spent)
        left = max(0, self._left - self._iterations)  # a custom loop may train for longer
        hub.update_info("eta", self._elapsed / self._iterations * left)

    def before_val_epoch(self, runner: Run) -> None:
        """Start the clock."""
        self._last = perf_counter()

    def before_val_set(self, runner: Run, name: str) -> None:
        """Leave out the time in which the metrics of the former set are computed."""
        self._last = perf_counter()

    def before_test_set(self, runner: Run, name: str) -> None:
        """Leave out the time in which the metrics of the former set are computed."""
        self._last = perf_counter()

    def after_val(self, runner: Run) -> None:
        """Leave the time of the validation out."""
        self._last = perf_counter()

    def before_val_iter(self, runner: Run, batch_idx: int, data_batch: Batch = None) -> None:
        """Record how long the batch took to arrive."""
        runner.message_hub.update_scalar("val/data_time", perf_counter() - self._last)

    def after_val_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Record the time of the iteration."""
        self._record_evaluation(runner, "val", batch_idx)

    def before_test_epoch(self, runner: Run) -> None:
        """Start the clock."""
        self._last = perf_counter()

    def before_test_iter(self, runner: Run, batch_idx: int, data_batch: Batch = None) -> None:
        """Record how long the batch took to arrive."""
        runner.message_hub.update_scalar("test/data_time", perf_counter() - self._last)

    def after_test_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Record the time of the iteration."""
        self._record_evaluation(runner, "test", batch_idx)

    def _record_evaluation(self, runner: Run, mode: str, batch_idx: int) -> None:
        now = perf_counter()
        runner.message_hub.update_scalar(f"{mode}/time", now - self._last)
        self._last = now
