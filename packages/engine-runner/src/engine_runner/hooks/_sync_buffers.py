"""Average the buffers of the model over the ranks."""

from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._protocols import Run
from engine_runner.checkpoint import average_buffers


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Average the floating-point buffers over the ranks at the end of each training epoch.

    Each rank has running statistics of the data that it reads. Afterwards validation, test and
    checkpoints use the same values on all ranks. One process has nothing to average.

    In a training by iterations the whole training is one epoch, and buffers are averaged before
    each validation instead.

    Example:
        >>> SyncBuffersHook().get_triggered_stages()
        ['after_train_epoch', 'before_val']
    """

    priority = "NORMAL"

    def after_train_epoch(self, runner: Run) -> None:
        """Average the buffers over the ranks; all ranks must call this."""
        average_buffers(runner.model)

    def before_val(self, runner: Run) -> None:
        """Average the buffers before a validation within a training by iterations."""
        if not runner.trains_by_epoch:
            average_buffers(runner.model)
