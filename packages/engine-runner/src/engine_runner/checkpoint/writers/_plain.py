"""Write a checkpoint to one file before the run continues."""

from collections.abc import Callable, Mapping
from typing import Any

from engine_dist import broadcast_object_list, is_main_process
from engine_runner.checkpoint.writers._file import write_file


class PlainWriter:
    """Write on the main rank, while the other ranks wait.

    Example:
        >>> import tempfile, torch
        >>> path = f"{tempfile.mkdtemp()}/epoch_1.pth"
        >>> PlainWriter().write({"state_dict": {"weight": torch.ones(1)}}, path)
        >>> torch.load(path, weights_only=True)["state_dict"]
        {'weight': tensor([1.])}
    """

    sharded = False
    in_background = False

    def write(
        self,
        checkpoint: dict[str, Any],
        path: str,
        *,
        backend_args: Mapping[str, Any] | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Write the checkpoint; see `Writer.write`."""
        failure: Exception | None = None
        if is_main_process():
            try:
                write_file(checkpoint, path, backend_args)
            except Exception as error:  # whatever it is, the other ranks wait for this one
                failure = error
        raise_on_all_ranks(failure)
        if then is not None and is_main_process():
            then()

    def wait(self) -> None:
        """Return at once: this process writes nothing between two calls."""

    def finish(self) -> None:
        """Return at once: each write is complete when it returns."""


def raise_on_all_ranks(failure: Exception | None) -> None:
    """Raise an error of the main rank on all ranks, if it has one; all ranks must call this.

    No rank continues to a state in which the checkpoint may not exist.

    Args:
        failure: The error; ignored on other ranks.
    """
    shared = [plain_error(failure) if is_main_process() else None]
    broadcast_object_list(shared)
    if shared[0] is not None:
        raise (failure if is_main_process() and failure is not None else shared[0])


def plain_error(error: Exception | None) -> Exception | None:
    """Return an error that can be sent to other processes, whatever its class; None for None."""
    if error is None:
        return None
    if not isinstance(error, OSError):
        return RuntimeError(f"{type(error).__name__}: {error}")
    if error.errno is None:
        return OSError(str(error))
    return OSError(error.errno, error.strerror, error.filename)
