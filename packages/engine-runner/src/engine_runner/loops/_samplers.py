"""Set and read the epoch of the samplers of a data loader."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import IterableDataset


def set_sampler_epoch(dataloader: Any, epoch: int) -> None:
    """Call ``set_epoch`` of a loader's samplers and of its stream, where there is one."""
    for part in _parts(dataloader):
        set_epoch = getattr(part, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)


def sampler_epoch(dataloader: Any) -> int | None:
    """Return the epoch that the samplers of a loader are set to, or None if they have none."""
    epochs = (getattr(part, "epoch", None) for part in _parts(dataloader))
    return next((epoch for epoch in epochs if isinstance(epoch, int)), None)


def _parts(dataloader: Any) -> Iterator[Any]:
    """Yield the samplers of a loader, and its stream, each once."""
    dataset = getattr(dataloader, "dataset", None)
    stream = dataset if isinstance(dataset, IterableDataset) else None
    sampler = getattr(dataloader, "sampler", None)
    batch_sampler = getattr(dataloader, "batch_sampler", None)
    inner = getattr(batch_sampler, "sampler", None)
    yield from {id(part): part for part in (sampler, batch_sampler, inner, stream)}.values()
