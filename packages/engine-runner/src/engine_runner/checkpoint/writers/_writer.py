"""The protocol of writers."""

from collections.abc import Mapping
from typing import Any, Protocol


class Writer(Protocol):
    """Write checkpoints to a storage of engine-fileio.

    All ranks call each method. A reader sees a complete checkpoint, or none.
    """

    def write(
        self,
        checkpoint: dict[str, Any],
        path: str,
        *,
        backend_args: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a checkpoint, or start writing it.

        Args:
            checkpoint: The checkpoint, equal on all ranks.
            path: A path or URI; an older file of this name is replaced.
            backend_args: Arguments of the storage backend.

        Raises:
            OSError: The storage cannot be written to; an older file is left as it was. All ranks
                raise it.
        """

    def finish(self) -> None:
        """Return when every checkpoint that was started is complete."""
