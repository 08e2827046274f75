"""Whether this process records, also where torch is not loaded."""

import sys


def is_main_process() -> bool:
    """Return whether this process is rank 0; always true without a process group.

    torch makes process groups, so a process that has not loaded it has none. It is not loaded here.
    """
    if "torch" not in sys.modules:
        return True
    import engine_dist

    return engine_dist.is_main_process()
