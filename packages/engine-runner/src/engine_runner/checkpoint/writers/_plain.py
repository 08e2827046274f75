"""Write a checkpoint to one file before the run continues."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from engine_dist import broadcast_object_list, is_main_process
from engine_model.weights import save_checkpoint


class PlainWriter:
    """Write on the main rank, while the other ranks wait.

    Example:
        >>> import tempfile, torch
        >>> path = f"{tempfile.mkdtemp()}/epoch_1.pth"
        >>> PlainWriter().write({"state_dict": {"weight": torch.ones(1)}}, path)
        >>> torch.load(path, weights_only=True)["state_dict"]
        {'weight': tensor([1.])}
    """

    def write(
        self,
        checkpoint: dict[str, Any],
        path: str,
        *,
        backend_args: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the checkpoint; see `Writer.write`."""
        failure: list[OSError | None] = [None]
        if is_main_process():
            try:
                with _naming_the_file(path):
                    save_checkpoint(
                        checkpoint, path, backend_args=dict(backend_args) if backend_args else None
                    )
            except OSError as error:
                failure[0] = error
        # No rank continues to a state in which the checkpoint may not exist. All ranks raise the
        # error: the others would wait for the main rank otherwise.
        shared = [_plain(failure[0])]
        broadcast_object_list(shared)
        if shared[0] is not None:
            raise failure[0] or shared[0]

    def finish(self) -> None:
        """Return at once: each write is complete when it returns."""


def _plain(error: OSError | None) -> OSError | None:
    """Return an error that can be sent to other processes, whatever its class."""
    if error is None:
        return None
    if error.errno is None:
        return OSError(str(error))
    return OSError(error.errno, error.strerror, error.filename)


@contextmanager
def _naming_the_file(path: str) -> Iterator[None]:
    """Raise the error of a full disk with the file's name."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch.save raises a RuntimeError of its own while it handles the OSError of the disk.
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__context__
        if cause is None or cause.errno is None:
            raise
        raise OSError(cause.errno, cause.strerror, path) from error
