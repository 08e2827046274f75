"""Translate a number of batches to another batch size or number of ranks."""

import logging
from dataclasses import asdict, dataclass
from typing import Any, Self

_logger = logging.getLogger("engine.dataset")


@dataclass(frozen=True, kw_only=True)
class BatchLayout:
    """What gives a number of batches its meaning.

    Attributes:
        batch_size: The samples of a batch; None if it is unknown.
        world_size: The number of ranks, each of which has counted.

    Example:
        >>> BatchLayout(batch_size=2).translated(6, BatchLayout(batch_size=4))
        12
    """

    batch_size: int | None = None
    world_size: int = 1

    def state_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def translated(self, batches: int, saved: Self | None) -> int:
        """Return the number of batches with the samples of ``batches`` of another layout.

        It is rounded down; a warning states the samples that are repeated.

        Args:
            batches: The number of batches per rank.
            saved: Their layout; None if it is this one.
        """
        if saved is None:
            return batches
        before, now = saved.world_size, self.world_size
        if saved.batch_size and self.batch_size:
            before, now = before * saved.batch_size, now * self.batch_size
        found, repeated = divmod(batches * before, now)
        if repeated:
            _logger.warning(
                "the position was saved with batch size %s on %s ranks; with batch size %s on %s "
                "ranks, the last %s samples are repeated",
                *(saved.batch_size, saved.world_size, self.batch_size, self.world_size, repeated),
            )
        return found
