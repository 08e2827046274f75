"""What gives a number of batches of any data its meaning."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch.utils.data import IterableDataset

from engine_dataset import BatchLayout
from engine_dist import get_world_size
from engine_runner._batch_size import batch_size_of

_log = logging.getLogger("engine.runner")


@dataclass(frozen=True, kw_only=True)
class Layout(BatchLayout):
    """The layout of any data: its batch size, ranks, and the workers of a stream.

    Attributes:
        num_workers: The workers of a stream, which divide it; None for other data.

    Example:
        >>> Layout(batch_size=2).translated(6, Layout(batch_size=4))
        12
    """

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

    def warn_of_workers(self, saved: Self | None, batches: int) -> None:
        """Warn if other workers divide a stream, within a pass over it."""
        if saved is not None and batches and saved.num_workers != self.num_workers:
            _log.warning(
                "%s workers divide the stream, and %s did before the interruption: batches have "
                "other samples now, and samples of this pass may repeat or be left out",
                *(self.num_workers, saved.num_workers),
            )
