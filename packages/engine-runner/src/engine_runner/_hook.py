"""The points of a run at which hooks act."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from engine_runner._loaders import length_of
from engine_runner._protocols import Run
from engine_runner._types import Batch, Metrics, Outputs

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from engine_runner.runner import Runner

STAGES: tuple[str, ...] = (
    "before_run",
    "after_load_checkpoint",
    "before_train",
    "before_train_epoch",
    "before_train_iter",
    "after_train_iter",
    "after_train_epoch",
    "before_val",
    "before_val_epoch",
    "before_val_iter",
    "after_val_iter",
    "after_val_epoch",
    "after_val",
    "before_save_checkpoint",
    "after_train",
    "before_test",
    "before_test_epoch",
    "before_test_iter",
    "after_test_iter",
    "after_test_epoch",
    "after_test",
    "after_run",
)

_MODES = ("train", "val", "test")
SHARED: Mapping[str, str] = {
    f"{when}_{mode}_{unit}": f"_{when}_{unit}"
    for when in ("before", "after")
    for mode in _MODES
    for unit in ("epoch", "iter")
}
"""The method that one point of training, validation and test shares with the other two."""


class Hook:
    """Base of all hooks: override the points at which to act.

    A point that no hook overrides costs nothing. Each point receives the runner. ``batch_idx``
    counts from 0 within the epoch; ``runner.iter`` and ``runner.epoch`` count finished iterations
    and epochs.

    The points of epochs and iterations call `_before_epoch`, `_after_epoch`, `_before_iter` and
    `_after_iter`, each with the mode ``"train"``, ``"val"`` or ``"test"``. Override one of these to
    act in all three modes.

    A hook with the methods ``state_dict`` and ``load_state_dict`` is saved in checkpoints, under
    its name in the run, and resumed from them.

    Example:
        >>> class CountBatches(Hook):
        ...     priority = "LOW"
        ...     batches = 0
        ...     def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        ...         self.batches += 1
        >>> CountBatches().get_triggered_stages()
        ['after_train_iter']
    """

    priority: int | str = "NORMAL"
    stages: ClassVar[tuple[str, ...]] = STAGES
    # Hooks of a command, which no config has, are not named in the log of the start.
    _is_internal: ClassVar[bool] = False

    def around_run(self, runner: "Runner") -> AbstractContextManager[Any]:
        """Return a context that `Runner.train`, `Runner.val` and `Runner.test` run in.

        It is entered before ``before_run``, and left however the run ends.
        """
        return nullcontext()

    def before_run(self, runner: "Runner") -> None:
        """Act before the work of `Runner.train`, `Runner.val` or `Runner.test` starts."""

    def after_run(self, runner: "Runner") -> None:
        """Act when the work of `Runner.train`, `Runner.val` or `Runner.test` is done."""

    def before_train(self, runner: "Runner") -> None:
        """Act before the first epoch, after the model is built, initialized and resumed."""

    def after_train(self, runner: "Runner") -> None:
        """Act after the last epoch."""

    def before_val(self, runner: "Runner") -> None:
        """Act before each validation."""

    def after_val(self, runner: "Runner") -> None:
        """Act after each validation."""

    def before_test(self, runner: "Runner") -> None:
        """Act before testing."""

    def after_test(self, runner: "Runner") -> None:
        """Act after testing."""

    def before_train_epoch(self, runner: "Runner") -> None:
        """Act before each training epoch."""
        self._before_epoch(runner, mode="train")

    def before_val_epoch(self, runner: "Runner") -> None:
        """Act before each pass over the validation data."""
        self._before_epoch(runner, mode="val")

    def before_test_epoch(self, runner: "Runner") -> None:
        """Act before the pass over the test data."""
        self._before_epoch(runner, mode="test")

    def after_train_epoch(self, runner: "Runner") -> None:
        """Act after each training epoch, before ``runner.epoch`` counts it."""
        self._after_epoch(runner, mode="train")

    def after_val_epoch(self, runner: "Runner", metrics: Metrics | None = None) -> None:
        """Act on the metrics of a validation."""
        self._after_epoch(runner, mode="val")

    def after_test_epoch(self, runner: "Runner", metrics: Metrics | None = None) -> None:
        """Act on the metrics of a test."""
        self._after_epoch(runner, mode="test")

    def before_train_iter(self, runner: "Runner", batch_idx: int, data_batch: Batch = None) -> None:
        """Act before each training step."""
        self._before_iter(runner, batch_idx, data_batch, mode="train")

    def before_val_iter(self, runner: "Runner", batch_idx: int, data_batch: Batch = None) -> None:
        """Act before each validation step."""
        self._before_iter(runner, batch_idx, data_batch, mode="val")

    def before_test_iter(self, runner: "Runner", batch_idx: int, data_batch: Batch = None) -> None:
        """Act before each test step."""
        self._before_iter(runner, batch_idx, data_batch, mode="test")

    def after_train_iter(
        self, runner: "Runner", batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Act on the log variables of a training step, before ``runner.iter`` counts it."""
        self._after_iter(runner, batch_idx, data_batch, outputs, mode="train")

    def after_val_iter(
        self, runner: "Runner", batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Act on the predictions of a validation step."""
        self._after_iter(runner, batch_idx, data_batch, outputs, mode="val")

    def after_test_iter(
        self, runner: "Runner", batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Act on the predictions of a test step."""
        self._after_iter(runner, batch_idx, data_batch, outputs, mode="test")

    def _before_epoch(self, runner: "Runner", mode: str = "train") -> None:
        """Act before an epoch of any mode."""

    def _after_epoch(self, runner: "Runner", mode: str = "train") -> None:
        """Act after an epoch of any mode."""

    def _before_iter(
        self, runner: "Runner", batch_idx: int, data_batch: Batch = None, mode: str = "train"
    ) -> None:
        """Act before a step of any mode."""

    def _after_iter(
        self,
        runner: "Runner",
        batch_idx: int,
        data_batch: Batch = None,
        outputs: Outputs = None,
        mode: str = "train",
    ) -> None:
        """Act after a step of any mode."""

    def before_save_checkpoint(self, runner: "Runner", checkpoint: dict[str, Any]) -> None:
        """Add to a checkpoint, or change it, before it is written."""

    def after_load_checkpoint(self, runner: "Runner", checkpoint: dict[str, Any]) -> None:
        """Take from a checkpoint, or change it, before it is applied."""

    def every_n_epochs(self, runner: Run, n: int, start: int = 0) -> bool:
        """Return whether the current epoch is ``start``, or ``n`` or a multiple of it later.

        Args:
            runner: The run.
            n: The interval; with ``n <= 0`` the result is always false.
            start: The epoch, from 1, at which counting begins; with 0, the first is ``n``.
        """
        return _is_due(runner.epoch + 1 - start, n)

    def every_n_inner_iters(self, batch_idx: int, n: int) -> bool:
        """Return whether this batch's number is a multiple of ``n``; never for ``n <= 0``."""
        return n > 0 and (batch_idx + 1) % n == 0

    def every_n_train_iters(self, runner: Run, n: int, start: int = 0) -> bool:
        """Return whether the current iteration is ``start``, or ``n`` or a multiple of it later.

        Args:
            runner: The run.
            n: The interval; with ``n <= 0`` the result is always false.
            start: The iteration, from 1, at which counting begins; with 0, the first is ``n``.
        """
        return _is_due(runner.iter + 1 - start, n)

    def end_of_epoch(self, dataloader: "DataLoader[Any]", batch_idx: int) -> bool:
        """Return whether this batch is the data loader's last; false if it has no length."""
        return batch_idx + 1 == length_of(dataloader)

    def is_last_train_epoch(self, runner: Run) -> bool:
        """Return whether the current epoch is the last of the run."""
        return runner.epoch + 1 == runner.max_epochs

    def is_last_train_iter(self, runner: Run) -> bool:
        """Return whether the current iteration is the last of the run."""
        return runner.iter + 1 == runner.max_iters

    def get_triggered_stages(self) -> list[str]:
        """Return the points at which this hook acts, in the order of a run."""
        return [stage for stage in self.stages if self.acts_at(stage)]

    def acts_at(self, point: str) -> bool:
        """Return whether this hook overrides a point, or the method that it shares with others.

        Args:
            point: One of ``Hook.stages``, or a point of the user's own.
        """
        shared = SHARED.get(point)
        return self._overrides(point) or (shared is not None and self._overrides(shared))

    def _overrides(self, method: str) -> bool:
        # A point may also be set on the instance. Functions are compared, as a bound method is a
        # new object at each access.
        ours = getattr(self, method, None)
        return ours is not None and getattr(ours, "__func__", ours) is not getattr(
            Hook, method, None
        )


def _is_due(since: int, interval: int) -> bool:
    return interval > 0 and since >= 0 and since % interval == 0
