"""A hook of ``engine test``: the model must get all its weights from the checkpoint."""

from typing import TYPE_CHECKING

from engine_runner._hook import Hook

if TYPE_CHECKING:
    from engine_runner.runner import Runner


class CheckWeights(Hook):
    """Raise before a test whose model did not get all its weights from the checkpoint."""

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def before_test(self, runner: "Runner") -> None:
        """Raise if a weight did not fit when the checkpoint was loaded."""
        runner.checkpointer.check_weights(
            self.checkpoint, runner.model_name, "--partial tests the model all the same"
        )
