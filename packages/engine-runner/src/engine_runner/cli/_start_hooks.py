"""Hooks of the commands: whether a run began, and whether a test has all its weights."""

from typing import TYPE_CHECKING

from engine_runner._hook import Hook
from engine_runner._types import Batch, Outputs

if TYPE_CHECKING:
    from engine_runner.runner import Runner


class Began(Hook):
    """Record whether a run finished an iteration; it adds nothing to those of a training."""

    _is_internal = True

    def __init__(self) -> None:
        self._trained_before: int | None = None
        self._tested = False

    def before_train(self, runner: "Runner") -> None:
        """Record the iterations of the checkpoint that the training resumed."""
        self._trained_before = runner.iter

    def after_test_iter(
        self, runner: "Runner", batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Record that the test has results."""
        self._tested = True

    def began(self, runner: "Runner") -> bool:
        """Return whether this run finished an iteration."""
        trained = self._trained_before is not None and runner.iter > self._trained_before
        return trained or self._tested


class CheckWeights(Hook):
    """Raise before a test whose model did not get all its weights from the checkpoint."""

    _is_internal = True

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def before_test(self, runner: "Runner") -> None:
        """Raise if a weight did not fit when the checkpoint was loaded."""
        runner.checkpointer.check_weights(
            self.checkpoint, runner.model_name, "--partial tests the model all the same"
        )
