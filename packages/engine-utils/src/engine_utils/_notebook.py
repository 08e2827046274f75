"""Find the notebook that a process belongs to."""

import sys
from typing import Any


def notebook_shell() -> Any:
    """Return the shell of IPython if this process is the kernel of a notebook, otherwise None.

    A process may have imported ``ipykernel`` or ``IPython`` without being a kernel: libraries do.

    Example:
        >>> notebook_shell() is None
        True
    """
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    # Another thread may be importing it, so that it has no such function yet.
    get_ipython = getattr(ipython, "get_ipython", None)
    shell = get_ipython() if get_ipython is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None
