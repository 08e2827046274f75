"""Choose the checkpoints to keep, and delete the others."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from engine_fileio import join_path, remove
from engine_model.weights import is_sharded_path, remove_sharded
from engine_runner.checkpoint._manifest import remove_manifest
from engine_runner.checkpoint._validated import remove_validation


class Retention:
    """The checkpoints of a run that exist, oldest first, and the most to keep.

    Args:
        most: The number of checkpoints to keep; -1 keeps all.

    Example:
        >>> retention = Retention(most=2)
        >>> for name in ("epoch_1.pth", "epoch_2.pth", "epoch_3.pth"):
        ...     retention.add(name)
        >>> retention.surplus()
        ['epoch_1.pth']
        >>> retention.drop(["epoch_1.pth"])
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

    def surplus(self) -> list[str]:
        """Return the oldest names beyond the most to keep."""
        return self.names[: max(0, len(self.names) - self.most)] if self.most > 0 else []

    def drop(self, names: Sequence[str]) -> None:
        """Remove the names of checkpoints that were deleted."""
        self.names = [name for name in self.names if name not in names]

    def state_dict(self) -> dict[str, Any]:
        """Return the names."""
        return {"names": list(self.names)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the names of a saved run."""
        self.names = [str(name) for name in state_dict["names"]]


@runtime_checkable
class Retains(Protocol):
    """A hook that keeps checkpoints in a folder, and deletes old ones."""

    retention: Retention
    folder: str


def kept_by_others(hooks: Iterable[object], own: Retains) -> set[str]:
    """Return the names of the checkpoints that other hooks keep in the folder of one.

    Args:
        hooks: The hooks of a run.
        own: The one whose old checkpoints are to be deleted.
    """
    others = [hook for hook in hooks if isinstance(hook, Retains) and hook is not own]
    return {name for hook in others if hook.folder == own.folder for name in hook.retention.names}


def remove_checkpoint(
    folder: str,
    filename: str,
    logger: logging.Logger,
    backend_args: dict[str, Any] | None = None,
) -> bool:
    """Delete an old checkpoint and its manifest, and return whether it is gone.

    If it is not, a warning is logged.

    Args:
        folder: The folder, in any storage of engine-fileio.
        filename: The name of the checkpoint.
        logger: The log for the warning.
        backend_args: Arguments of the storage backend.
    """
    path = join_path(folder, filename, backend_args=backend_args)
    try:
        with suppress(FileNotFoundError):  # deleted by someone already
            if is_sharded_path(path):
                remove_sharded(path, backend_args)
                remove_validation(path, backend_args)
                return True
            remove(path, backend_args=backend_args)
        # After the file: a process that ends here leaves a manifest without a file, not a file
        # that nobody deletes.
        remove_manifest(path, backend_args)
        remove_validation(path, backend_args)
    except OSError as error:
        logger.warning(f"the old checkpoint {path} was not deleted: {error}")
        return False
    return True
