"""Set the epoch of the samplers of a data loader."""

from typing import Any

from torch.utils.data import IterableDataset


def set_sampler_epoch(dataloader: Any, epoch: int) -> None:
    """Call ``set_epoch`` of a loader's samplers and of its stream, where there is one."""
    dataset = getattr(dataloader, "dataset", None)
    stream = dataset if isinstance(dataset, IterableDataset) else None
    sampler = getattr(dataloader, "sampler", None)
    batch_sampler = getattr(dataloader, "batch_sampler", None)
    inner = getattr(batch_sampler, "sampler", None)
    for part in {id(part): part for part in (sampler, batch_sampler, inner, stream)}.values():
        set_epoch = getattr(part, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)
