"""Share the failure of a write with all ranks."""

from engine_dist import all_gather_object


def raise_on_all_ranks(failure: Exception | None) -> None:
    """Raise the error that a rank has, on all ranks; all ranks must call this.

    No rank continues to a state in which the checkpoint may not exist.

    Args:
        failure: The error of this rank, which raises its own one.
    """
    shared = all_gather_object(_plain(failure))
    other = next((error for error in shared if error is not None), None)
    if other is not None:
        raise failure or other


def _plain(error: Exception | None) -> Exception | None:
    """Return an error that can be sent to other processes, whatever its class; None for None."""
    if error is None:
        return None
    if not isinstance(error, OSError):
        return RuntimeError(f"{type(error).__name__}: {error}")
    if error.errno is None:
        return OSError(str(error))
    return OSError(error.errno, error.strerror, error.filename)
