"""Decide whether a run continues the one that torchrun restarted (``--max-restarts``)."""

from pathlib import Path

from engine_dist import broadcast_object_list, first_of_launch, is_main_process, restart_count
from engine_runner.checkpoint._latest import MARKER

_runs = 0


def continues_earlier_attempt(work_dir: str) -> bool:
    """Return whether an earlier attempt of this launch has saved a checkpoint of this run.

    All ranks must call this, in every attempt, before the run saves its first checkpoint.

    The first attempt notes which checkpoint was the latest when it began. Otherwise a restart could
    not be distinguished from a new run in the folder of an older one.

    Args:
        work_dir: The folder of the run.
    """
    global _runs
    _runs += 1
    answer = [False]
    if is_main_process():
        now = _state_of_marker(Path(work_dir) / MARKER)
        # The number of the run, because a script may train several times in one folder.
        first = first_of_launch(f"{work_dir}:{_runs}", now)
        answer = [restart_count() > 0 and first is not None and first != now]
    broadcast_object_list(answer)
    return answer[0]


def _state_of_marker(marker: Path) -> str:
    """Return a text that changes each time the marker is written."""
    try:
        # Not the name in the file alone: a new run saves the same names as the one before.
        return f"{marker.stat().st_mtime_ns} {marker.read_bytes()!r}"
    except OSError:
        return "none"
