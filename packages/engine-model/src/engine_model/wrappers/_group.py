"""Check that a process group exists."""

from engine_dist import is_distributed


def require_process_group(purpose: str) -> None:
    """Raise an error if this process has no process group.

    Args:
        purpose: The subject of the message, such as ``"sharding"``.

    Raises:
        RuntimeError: There is no process group.
    """
    if not is_distributed():
        raise RuntimeError(
            f"{purpose} needs a process group; start the program with a launcher such as "
            "torchrun, and call engine_dist.init_dist first"
        )
