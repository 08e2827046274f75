"""Choose the checkpoints to keep, and delete the others."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from engine_fileio import join_path, remove

_log = logging.getLogger("engine.runner")


class Retention:
    """The checkpoints of a run that exist, oldest first, and the most to keep.

    Args:
        most: The number of checkpoints to keep; -1 keeps all.

    Example:
        >>> retention = Retention(most=2)
        >>> for name in ("epoch_1.pth", "epoch_2.pth", "epoch_3.pth"):
        ...     retention.add(name)
        >>> retention.take_surplus()
        ['epoch_1.pth']
        >>> retention.names
        ['epoch_2.pth', 'epoch_3.pth']
    """

    def __init__(self, most: int = -1) -> None:
        self.most = most
        self.names: list[str] = []

    def add(self, name: str) -> None:
        """Add a checkpoint as the newest one.

        Called before it is saved, so that the checkpoint's own state has it, too.
        """
        self.names = [*(other for other in self.names if other != name), name]

    def take_surplus(self) -> list[str]:
        """Remove the oldest names beyond the most to keep, and return them."""
        surplus = max(0, len(self.names) - self.most) if self.most > 0 else 0
        removed, self.names = self.names[:surplus], self.names[surplus:]
        return removed

    def put_back(self, names: Sequence[str]) -> None:
        """Add names that were taken and could not be deleted, as the oldest."""
        self.names = [*names, *self.names]

    def state_dict(self) -> dict[str, Any]:
        """Return the names."""
        return {"names": list(self.names)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the names of a saved run."""
        self.names = [str(name) for name in state_dict["names"]]


def remove_checkpoint(
    folder: str,
    filename: str,
    logger: logging.Logger,
    backend_args: dict[str, Any] | None = None,
) -> bool:
    """Delete an old checkpoint, and return whether it is gone; log a warning if it is not.

    Args:
        folder: The folder, in any storage of engine-fileio.
        filename: The name of the checkpoint.
        logger: The log for the warning.
        backend_args: Arguments of the storage backend.
    """
    path = join_path(folder, filename, backend_args=backend_args)
    try:
        remove(path, backend_args=backend_args)
    except FileNotFoundError:
        _log.debug("%s was deleted already", path)
    except OSError as error:
        logger.warning(f"the old checkpoint {path} was not deleted: {error}")
        return False
    return True
