"""Set the epoch of the samplers of a data loader."""

from typing import Any


def set_sampler_epoch(dataloader: Any, epoch: int) -> None:
    """Call ``set_epoch`` of the loader's sampler and of its batch sampler's, where there is one."""
    sampler = getattr(dataloader, "sampler", None)
    batch_sampler = getattr(dataloader, "batch_sampler", None)
    inner = getattr(batch_sampler, "sampler", None)
    for part in {id(part): part for part in (sampler, batch_sampler, inner)}.values():
        set_epoch = getattr(part, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)
