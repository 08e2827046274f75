"""Translate a number of batches to another batch size or number of ranks."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from torch.utils.data import IterableDataset

from engine_dist import get_world_size
from engine_runner._batch_size import batch_size_of

_log = logging.getLogger("engine.runner")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What gives a number of batches its meaning.

    Attributes:
        batch_size: The samples of a batch; None if it is unknown.
        world_size: The number of ranks, each of which has counted.
        num_workers: The workers of a stream, which divide it; None for other data.

    Example:
        >>> Layout(batch_size=2).translated(6, Layout(batch_size=4))
        12
    """

    batch_size: int | None = None
    world_size: int = 1
    num_workers: int | None = None

    @classmethod
    def of(cls, loader: Any) -> Self:
        """Return the layout of a loader."""
        stream = isinstance(getattr(loader, "dataset", None), IterableDataset)
        return cls(
            batch_size=batch_size_of(loader),
            world_size=get_world_size(),
            num_workers=loader.num_workers if stream else None,
        )

    @classmethod
    def saved(cls, state: Mapping[str, Any]) -> Self | None:
        """Return the layout in the state of a position, or None."""
        return cls(**state["layout"]) if "layout" in state else None

    def state_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def translated(self, batches: int, saved: Self | None) -> int:
        """Return the number of batches with the samples of ``batches`` of another layout.

        It is rounded down; a warning states the samples that are repeated.
        """
        if saved is None:
            return batches
        before, now = saved.world_size, self.world_size
        if saved.batch_size and self.batch_size:
            before, now = before * saved.batch_size, now * self.batch_size
        found, repeated = divmod(batches * before, now)
        if repeated:
            _log.warning(
                "the position was saved with batch size %s on %s ranks; with batch size %s on %s "
                "ranks, the last %s samples are repeated",
                *(saved.batch_size, saved.world_size, self.batch_size, self.world_size, repeated),
            )
        return found

    def warn_of_workers(self, saved: Self | None, batches: int) -> None:
        """Warn if other workers divide a stream, within a pass over it."""
        if saved is not None and batches and saved.num_workers != self.num_workers:
            _log.warning(
                "%s workers divide the stream, and %s did before the interruption: batches have "
                "other samples now, and samples of this pass may repeat or be left out",
                *(self.num_workers, saved.num_workers),
            )
