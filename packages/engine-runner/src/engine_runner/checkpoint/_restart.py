"""Decide whether a run continues the one that torchrun restarted (``--max-restarts``)."""

from collections.abc import Sequence

from engine_dist import first_of_launch, restart_count, uses_agent_store
from engine_runner.checkpoint._folder import CheckpointFolder
from engine_runner.checkpoint._manifest import manifest_path
from engine_runner.checkpoint._marker import MARKER
from engine_runner.checkpoint._paths import file_name

_runs = 0


def continues_earlier_attempt(folders: Sequence[CheckpointFolder]) -> bool:
    """Return whether an earlier attempt of this launch has saved a checkpoint of this run.

    The main rank must call this, in every attempt, before the run saves its first checkpoint.

    The first attempt notes which checkpoint was the latest when it began. Otherwise a restart could
    not be distinguished from a new run in the folder of an older one.

    Args:
        folders: The folders of the run; the last one is the work directory.

    Raises:
        OSError: The storage of a folder cannot be read.
    """
    global _runs
    _runs += 1
    if not uses_agent_store():
        return False
    # Each folder apart: a restart on another machine has another work directory.
    restarted = False
    for folder in folders:
        now = _state_of_marker(folder)
        # The number of the run, because a script may train several times in one folder.
        first = first_of_launch(f"{folder.path}:{_runs}", now)
        restarted |= restart_count() > 0 and first is not None and now not in ("none", first)
    return restarted


def _state_of_marker(folder: CheckpointFolder) -> str:
    """Return a text that changes each time the marker is written.

    Raises:
        OSError: The storage cannot be read.
    """
    # Not the name in the file alone: a new run saves the same names as the one before.
    if folder.is_local:
        try:
            marker = folder.local / MARKER
            return f"{marker.stat().st_mtime_ns} {marker.read_bytes()!r}"
        except OSError:
            return "none"
    # Storages report no times in common, so the manifest of the checkpoint has the time.
    noted = (folder.read_text(MARKER) or "").strip()
    manifest = noted and folder.read_text(manifest_path(file_name(noted)))
    return f"{noted} {manifest}" if noted else "none"
