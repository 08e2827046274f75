"""A new order of the samples in every epoch."""

from typing import TYPE_CHECKING, Any

from engine_registry import HOOKS
from engine_runner.hooks._hook import Hook

if TYPE_CHECKING:
    from engine_runner.runner import Runner


@HOOKS.register_module()
class DistSamplerSeedHook(Hook):
    """Tell the sampler and the batch sampler of the training data which epoch begins.

    Samplers that shuffle derive their order from seed and epoch, alike on all ranks.

    Example:
        >>> DistSamplerSeedHook().get_triggered_stages()
        ['before_train_epoch']
    """

    priority = "NORMAL"

    def before_train_epoch(self, runner: "Runner") -> None:
        """Set the epoch of whatever sampler has one."""
        set_sampler_epoch(runner.train_dataloader, runner.epoch)


def set_sampler_epoch(dataloader: Any, epoch: int) -> None:
    """Call ``set_epoch`` of the loader's sampler and of its batch sampler's, where there is one."""
    sampler = getattr(dataloader, "sampler", None)
    batch_sampler = getattr(dataloader, "batch_sampler", None)
    inner = getattr(batch_sampler, "sampler", None)
    for part in {id(part): part for part in (sampler, batch_sampler, inner)}.values():
        set_epoch = getattr(part, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)
