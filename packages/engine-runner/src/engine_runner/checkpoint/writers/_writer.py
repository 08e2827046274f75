"""The protocol of writers."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Writer(Protocol):
    """Write checkpoints to a storage of engine-fileio.

    All ranks call each method. A reader sees a complete checkpoint, or none.

    Attributes:
        sharded: Whether each rank writes its own shards, so that the checkpoint has them in place
            of whole weights.
        in_background: Whether `write` returns before the checkpoint is complete. A writer that logs
            at once that this failed may have ``logs_failures = True``; the run does not log it
            again.
    """

    sharded: bool
    in_background: bool

    def write(
        self,
        checkpoint: dict[str, Any],
        path: str,
        *,
        backend_args: Mapping[str, Any] | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Write a checkpoint, or start writing it.

        What the caller does to the checkpoint afterwards does not change what is written. A former
        checkpoint is complete, or has failed, before this one is begun.

        Args:
            checkpoint: The checkpoint, equal on all ranks.
            path: A path or URI; an older file of this name is replaced.
            backend_args: Arguments of the storage backend.
            then: Called on the main rank, in any thread, when this checkpoint is complete and
                verified, and not if it fails. At the latest, `finish` calls it.

        Raises:
            OSError: The storage cannot be written to; an older file is left as it was. All ranks
                raise it.
        """

    def wait(self) -> None:
        """Return when this process writes nothing, for a run that ends with an error.

        It must not wait for other ranks, which may continue, and raises nothing.
        """

    def finish(self) -> None:
        """Return when every checkpoint that was started is complete.

        Raises:
            OSError: One of them failed, since the last call; all ranks raise it.
        """
