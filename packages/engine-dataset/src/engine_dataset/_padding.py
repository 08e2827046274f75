"""Find the padding: samples that a sampler repeats so that all ranks have equally many."""

from typing import Any

from torch.utils.data import DistributedSampler

from engine_dataset._own_order import describes_order


def rank_positions(dataloader: Any, batch: int) -> list[int | None] | None:
    """Return the positions in the epoch's order that a batch of this rank has.

    Args:
        dataloader: A torch `DataLoader` with a `DistributedSampler`.
        batch: The number of the batch, from 0.

    Returns:
        One position per sample; ``None`` in place of the samples that the sampler repeats so that
        all ranks have equally many. ``None`` alone for another loader, or with a batch sampler of
        the caller.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> sampler = DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False)
        >>> loader = DataLoader(range(5), batch_size=2, sampler=sampler)
        >>> rank_positions(loader, 0), rank_positions(loader, 1)
        ([1, 3], [None])
    """
    sampler = getattr(dataloader, "sampler", None)
    if not isinstance(sampler, DistributedSampler) or dataloader.batch_size is None:
        return None
    first, last = batch * dataloader.batch_size, sampler.num_samples
    real = last - padding_of(sampler)
    return [
        sampler.rank + place * sampler.num_replicas if place < real else None
        for place in range(first, min(first + dataloader.batch_size, last))
    ]


def padding_of(sampler: object) -> int:
    """Return the number of repeated samples at the end of a rank's share."""
    # torch's distributed sampler pads too, but has no number of it.
    if isinstance(sampler, DistributedSampler):
        size = len(sampler.dataset)  # type: ignore[arg-type] # the sampler has measured it
        real = len(range(sampler.rank, size, sampler.num_replicas))
        return max(0, sampler.num_samples - real)
    return int(getattr(sampler, "padding", 0)) if describes_order(sampler, "padding") else 0
