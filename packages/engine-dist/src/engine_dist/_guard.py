"""The watch of this process, and what calls upon it: guarded collectives and unhandled errors."""

import atexit
import logging
import sys
from types import TracebackType

import torch.distributed as torch_dist

from engine_dist._errors import DistError, RankLost
from engine_dist._rendezvous import Meeting
from engine_dist._watch import Pace, RankWatch

logger = logging.getLogger("engine.dist")

# Words by which the back ends tell of a peer that is gone or late; they have no error class for it.
_BROKEN = ("connection", "timed out", "timeout", "broken pipe", "socket", "aborted", "reset by")

_watch: RankWatch | None = None
_started = 0


def start_watch(meeting: Meeting, rank: int, world_size: int, pace: Pace) -> RankWatch:
    """Start the heartbeat of this rank for a group that is being made; every rank should."""
    global _watch, _started
    stop_watch()
    try:
        _watch = RankWatch(meeting, rank, world_size, pace=pace, number=_started)
        _watch.start()
    except (RuntimeError, OSError) as error:
        hint = f"{meeting.place} no longer answers: {error}"
        gone = {} if meeting.host is None else {meeting.host: f"is gone: {hint}"}
        raise RankLost("init_dist", gone, hint) from error
    _started += 1
    if _started == 1:
        atexit.register(stop_watch)
        _tell_of_unhandled_errors()
    return _watch


def stop_watch(error: BaseException | None = None) -> None:
    """Stop the heartbeat of this rank, if there is one."""
    global _watch
    if _watch is not None:
        _watch.stop(error)
        _watch = None


def current_watch() -> RankWatch | None:
    """Return the watch of the default group that exists now, or None."""
    return _watch if _watch is not None and _watch.is_current() else None


def _tell_of_unhandled_errors() -> None:
    previous = sys.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        watch = current_watch()
        if watch is not None and is_broken(error):
            found = watch.lost("a collective outside engine_dist", range(watch.world_size))
            logger.error("%s", found)
        elif watch is not None:
            watch.note_end(error)
        previous(kind, error, traceback)

    sys.excepthook = hook


def is_broken(error: BaseException) -> bool:
    """Tell whether an error of a back end means that a peer is gone or late."""
    if isinstance(error, DistError):
        return False  # that is an answer already
    if isinstance(error, torch_dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _BROKEN)


class guard_collective:  # noqa: N801  # used like a function, as contextlib's own are
    """Turn the failure of collectives inside into `RankLost`, which names the ranks to blame.

    Every collective of this package is guarded. Put it around those of others (the backward pass
    of a wrapped model) to get the same there. Without a group that `init_dist` started, errors
    pass as they are.

    Args:
        operation: What to call it in messages.
        group: The process group it works on.

    Raises:
        RankLost: A collective inside failed because of other ranks.

    Example:
        >>> with guard_collective("backward"):
        ...     total = 1 + 1
    """

    __slots__ = ("_group", "_operation", "_watch")

    def __init__(self, operation: str, group: torch_dist.ProcessGroup | None = None) -> None:
        self._operation, self._group = operation, group
        self._watch: RankWatch | None = None

    def __enter__(self) -> None:
        self._watch = current_watch()
        if self._watch is not None:
            self._watch.enter(self._operation)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watch is None:
            return
        if error is None or not is_broken(error):
            self._watch.leave()
            return
        ranks = torch_dist.get_process_group_ranks(self._group)
        try:
            raise self._watch.lost(self._operation, ranks) from error
        finally:
            self._watch.leave()
