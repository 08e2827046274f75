"""The process group that wrappers need."""

from engine_dist import is_distributed


def require_process_group(purpose: str) -> None:
    """Refuse to go on in a process that belongs to no group.

    Args:
        purpose: What needs the group, as the beginning of the message.

    Raises:
        RuntimeError: If there is no process group.
    """
    if not is_distributed():
        raise RuntimeError(
            f"{purpose} needs a process group; start the program with a launcher such as "
            "torchrun, and call engine_dist.init_dist first"
        )
