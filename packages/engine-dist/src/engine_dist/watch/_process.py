"""Start and stop the monitor of this process, and record unhandled exceptions."""

import atexit
import logging
import sys
from types import TracebackType

from engine_dist._errors import RankLost
from engine_dist._rendezvous import Rendezvous
from engine_dist.watch._broken import is_broken
from engine_dist.watch._error_file import write_error_file
from engine_dist.watch._monitor import MonitorTiming, RankMonitor

logger = logging.getLogger("engine.dist")

_monitor: RankMonitor | None = None
_started = 0


def start_monitor(
    rendezvous: Rendezvous, rank: int, world_size: int, timing: MonitorTiming, *, heartbeat: bool
) -> RankMonitor:
    """Start the monitor of this rank for a group that is being created; every rank must call it."""
    global _monitor, _started
    stop_monitor()
    try:
        _monitor = RankMonitor(
            rendezvous, rank, world_size, timing=timing, number=_started, heartbeat=heartbeat
        )
        _monitor.start()
    except (RuntimeError, OSError) as error:
        hint = f"{rendezvous.place} no longer answers: {error}"
        holder = rendezvous.store_rank
        reasons = {} if holder is None else {holder: f"is gone: {hint}"}
        raise RankLost("init_dist", reasons, hint) from error
    _started += 1
    return _monitor


def stop_monitor(error: BaseException | None = None) -> None:
    """Stop the monitor of this process, if there is one."""
    global _monitor
    if _monitor is not None:
        _monitor.stop(error)
        _monitor = None


def current_monitor() -> RankMonitor | None:
    """Return the monitor of the default group that exists now, or None."""
    return _monitor if _monitor is not None and _monitor.is_current() else None


def record_failure(error: BaseException) -> None:
    """Record why this rank fails, for the other ranks and for the launcher.

    After `init_dist`, this is called for each unhandled exception. Call it yourself if the program
    catches the exception and exits with a code.

    The reason is written into the group's store, where the other ranks read it, and into the error
    file of torchrun, which prints it. Does nothing without a group and without torchrun.

    Args:
        error: The exception that ends this process.

    Example:
        >>> try:
        ...     result = 1 / 0
        ... except ZeroDivisionError as error:
        ...     record_failure(error)  # then `sys.exit(1)`
    """
    monitor = current_monitor()
    if monitor is not None and is_broken(error):
        lost = monitor.find_lost("a collective outside engine_dist", range(monitor.world_size))
        logger.error("%s", lost)
        # The launcher then reports the lost rank, in addition to the socket error of this one.
        error = lost.with_traceback(error.__traceback__)
    elif monitor is not None:
        monitor.record_end(error)
    write_error_file(error)


def install_handlers() -> None:
    """Record unhandled exceptions and the exit of this process; a second call does nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    atexit.register(stop_monitor)
    previous = sys.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        record_failure(error)
        previous(kind, error, traceback)

    sys.excepthook = hook


_installed = False
