"""Shuffle the samples differently in every epoch."""

from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._loaders import set_sampler_epoch
from engine_runner._protocols import Run


@HOOKS.register_module()
class DistSamplerSeedHook(Hook):
    """Set the epoch of the training data's sampler and batch sampler when it begins.

    Samplers that shuffle derive their order from seed and epoch, equally on all ranks.

    Example:
        >>> DistSamplerSeedHook().get_triggered_stages()
        ['before_train_epoch']
    """

    priority = "NORMAL"

    def before_train_epoch(self, runner: Run) -> None:
        """Set the epoch of whatever sampler has one."""
        set_sampler_epoch(runner.train_loop.dataloader, runner.epoch)
