"""End a rank whose launcher was killed.

A launcher that is killed cannot end its ranks. They would train on, or wait for each other until
the timeout, and hold their devices meanwhile.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from engine_dist.watch._stop import end_process

logger = logging.getLogger("engine.dist")

_POLL_SECONDS = 0.5
_STOP_SECONDS = 30.0  # the time that torchrun gives its ranks, too

_watched = 0  # the process whose thread watches; a forked child has another number
_on_lost: list[Callable[[], bool]] = []


def watch_launcher(launcher: str, environ: Mapping[str, str]) -> None:
    """End this process if its launcher ends; a second call does nothing.

    Does nothing without a launcher that waits for its processes: the shell that started a rank by
    hand may end, and the rank goes on.

    Args:
        launcher: ``pytorch``, ``slurm`` or ``mpi``.
        environ: The environment variables: those of torchrun have ``TORCHELASTIC_RUN_ID``.
    """
    global _watched
    waits = launcher in ("slurm", "mpi") or "TORCHELASTIC_RUN_ID" in environ
    if not waits or not hasattr(os, "getppid") or _watched == os.getpid():
        return
    _watched = os.getpid()
    threading.Thread(
        target=_watch, args=(os.getppid(),), name="engine-dist-launcher", daemon=True
    ).start()


@contextmanager
def on_launcher_lost(stop: Callable[[], bool]) -> Iterator[None]:
    """Within the context, call a function if the launcher has ended.

    Args:
        stop: Asks the program to stop. It returns whether the program can; then the process has
            30 seconds to end by itself.
    """
    _on_lost.append(stop)
    try:
        yield
    finally:
        _on_lost.remove(stop)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    reason = f"the launcher of this rank (process {parent}) has ended"
    logger.error("%s; this rank ends, too", reason)
    stopping = [stop() for stop in list(_on_lost)]
    if any(stopping):
        time.sleep(_STOP_SECONDS)
    end_process(reason, 1)
