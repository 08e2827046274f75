"""Start ranks as torchrun does, but as forks of this process, which has torch loaded.

Usage: fork_ranks.py run|launch ARGUMENTS, with the arguments of ``torch.distributed.run`` or
``torch.distributed.launch``. Not a test module. The agent is that of torch: it sets the variables
of the ranks, restarts them, and reads the files of their errors. Loading torch in each rank takes
longer than what the tests look at.
"""

import atexit
import importlib
import os
import runpy
import sys
from pathlib import Path

from torch.distributed.launcher.api import elastic_launch
from torch.distributed.run import config_from_args


def main(utility: str, *arguments: str) -> None:
    """Run the ranks to their end."""
    given = importlib.import_module(f"torch.distributed.{utility}").parse_args(arguments)
    if given.standalone:
        given.rdzv_backend, given.rdzv_endpoint, given.rdzv_id = "c10d", "localhost:0", "alone"
    config, _, command = config_from_args(given)
    config.start_method = "fork"
    elastic_launch(config, run_rank)(*command)


def run_rank(_unbuffered: str, *command: str) -> None:
    """Run a script or ``-m`` a module; after an error, end the process as an interpreter does."""
    is_module = command[0] == "-m"
    sys.argv = [*command[is_module:]]
    sys.path[0] = os.getcwd() if is_module else str(Path(sys.argv[0]).parent)
    try:
        if is_module:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except Exception:
        # torch would catch the error, and the hook for uncaught errors would not see it.
        sys.excepthook(*sys.exc_info())
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
