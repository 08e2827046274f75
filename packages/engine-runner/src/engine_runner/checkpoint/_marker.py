"""Mark the newest complete checkpoint of a folder, in the file ``last_checkpoint``."""

import logging
import os
import re
from pathlib import Path

from engine_dist import broadcast_object_list, is_main_process
from engine_fileio import local_path
from engine_runner._errors import SettingsError
from engine_runner._protocols import Run
from engine_runner.checkpoint._folder import CheckpointFolder

MARKER = "last_checkpoint"


def mark_latest_checkpoint(
    folder: str | Path, checkpoint: str | Path, *, saved_in: CheckpointFolder | None = None
) -> None:
    """Write to ``folder/last_checkpoint`` that ``checkpoint`` is the newest complete one.

    The file is replaced in one step: a reader sees the former path or the new one.

    Args:
        folder: The work directory.
        checkpoint: The path of the checkpoint.
        saved_in: The folder of the checkpoint, which is marked first: another machine finds the
            checkpoint there, with an empty work directory.

    Raises:
        OSError: A marker cannot be written.
    """
    places = {os.fspath(folder): CheckpointFolder(os.fspath(folder))}
    if saved_in is not None:
        places = {saved_in.path: saved_in, **places}
    for path, place in places.items():
        # A path in a work directory, as always; where it is, a name, which stays true in a copy.
        elsewhere = path != os.fspath(folder)
        noted = re.split(r"[/\\]", str(checkpoint))[-1] if elsewhere else str(checkpoint)
        place.backend.put(noted.encode(), place.join(MARKER))


def mark_or_log(
    folder: str | Path,
    checkpoint: str,
    logger: logging.Logger,
    *,
    saved_in: CheckpointFolder | None = None,
) -> bool:
    """Do as `mark_latest_checkpoint`, log an error if that fails, and return whether it succeeded.

    Args:
        folder: The work directory.
        checkpoint: The path of the checkpoint.
        logger: The log for the error.
        saved_in: The folder of the checkpoint.
    """
    try:
        mark_latest_checkpoint(folder, checkpoint, saved_in=saved_in)
    except OSError as error:
        logger.error(f"{MARKER} was not written: {error}. It names an older checkpoint")
        return False
    return True


def marked_at(folder: str | Path) -> int | None:
    """Return when ``folder/last_checkpoint`` was written, in nanoseconds; None if there is none."""
    try:
        return (Path(local_path(folder)) / MARKER).stat().st_mtime_ns
    except OSError:
        return None


def open_for_run(folder: CheckpointFolder, run: Run) -> None:
    """Check that a run can save to a folder, and warn if it will overwrite an earlier run's.

    All ranks must call this.

    Args:
        folder: The folder that the run saves to.
        run: The run; one that has resumed overwrites nothing.

    Raises:
        SettingsError: The folder's storage cannot be written to; raised on all ranks.
    """
    problem = [""]
    if is_main_process():
        try:
            folder.check_writable()
            if run.iter == 0:
                _warn_of_earlier_run(folder, run)
        except SettingsError as error:  # the other ranks wait for this one
            problem[0] = str(error)
    broadcast_object_list(problem)
    if problem[0]:
        raise SettingsError(problem[0])


def _warn_of_earlier_run(folder: CheckpointFolder, run: Run) -> None:
    places = {place.path: place for place in (CheckpointFolder(run.work_dir), folder)}
    for place in places.values():
        try:
            marked = place.read_text(MARKER) is not None
        except (OSError, ValueError):  # one that is not readable
            marked = True
        if marked:
            run.logger.warning(
                f"{place.path} has checkpoints of an earlier run, and this run overwrites those of "
                "the same name; resume the earlier run, or choose another work_dir"
            )
