"""Run Python scripts in processes forked from this one, which has torch loaded. Not a test module.

Loading torch takes longer than most scripts that tests run. A request is one line of JSON on stdin:
a list of scripts that run at once, each with ``script``, ``arguments``, ``folder``,
``environment``, ``strict`` and ``output``, the file that gets its stdout and stderr. The answer is
the list of their exit codes as one line of JSON on stdout. The arguments are modules to load, too.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

# Loaded here, once for all scripts, with the part that the first optimizer loads: half of it all.
import torch._dynamo  # noqa: F401

SECONDS = 300


def become(request: dict[str, Any]) -> None:
    """Give this process the folder, environment, arguments and streams of a script."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["script"], *request["arguments"]]
    sys.path[0] = str(Path(request["script"]).parent)
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        file = os.open(name, flags)
        os.dup2(file, number)
        os.close(file)
    os.dup2(1, 2)
    if request["strict"]:
        warnings.simplefilter("error")
    warnings.filterwarnings("error", category=DeprecationWarning, module="__main__")


def wait(children: list[int]) -> list[int]:
    """Return the exit codes of the children, after killing those that run for too long."""
    deadline = time.monotonic() + SECONDS
    codes: dict[int, int] = {}
    while len(codes) < len(children):
        for child in set(children) - set(codes):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                codes[child] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    return [codes[child] for child in children]


def end() -> None:
    """End the process as the interpreter does, but do not free the objects of torch one by one."""
    threading._shutdown()  # type: ignore[attr-defined]  # joins the threads that are not daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def main() -> None:
    """Fork for each script. A child whose script raises returns, so that the interpreter ends."""
    for module in sys.argv[1:]:
        importlib.import_module(module)
    # Else the collection at the end of each child visits, and copies, all objects of torch.
    gc.freeze()
    for line in iter(sys.stdin.readline, ""):
        children = []
        for request in json.loads(line):
            child = os.fork()
            if not child:
                become(request)
                runpy.run_path(request["script"], run_name="__main__")
                end()
            children.append(child)
        print(json.dumps(wait(children)), flush=True)


if __name__ == "__main__":
    main()
