"""Mark the newest complete checkpoint of a folder, in the file ``last_checkpoint``."""

import logging
import os
from pathlib import Path
from shutil import disk_usage

from torch.nn.parameter import is_lazy

from engine_dist import is_main_process
from engine_fileio import local_path
from engine_runner._protocols import Run
from engine_runner.checkpoint._folder import CheckpointFolder, require_writable
from engine_runner.checkpoint._paths import file_name

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
        noted = file_name(str(checkpoint)) if elsewhere else str(checkpoint)
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
    """Check that a run can save to a folder, and warn of what will go wrong there.

    All ranks must call this. Each rank that writes checks the folder: a mount may be missing on one
    machine.

    Args:
        folder: The folder that the run saves to.
        run: The run, whose writer is set; one that has resumed overwrites nothing.

    Raises:
        SettingsError: The folder's storage cannot be written to; raised on all ranks.
    """
    setting = "work_dir" if folder.path == run.work_dir else "out_dir of CheckpointHook"
    writes = is_main_process() or run.checkpointer.sharded
    require_writable(folder, setting, checks=writes)
    if is_main_process():
        _warn_of_little_room(folder, run)
        if run.iter == 0:
            _warn_of_earlier_run(folder, run)


def _warn_of_little_room(folder: CheckpointFolder, run: Run) -> None:
    """Warn if a local disk has no room for one more copy of the weights."""
    if not folder.is_local:
        return
    weights = [*run.model.parameters(), *run.model.buffers()]
    needed = sum(item.numel() * item.element_size() for item in weights if not is_lazy(item))
    free = disk_usage(folder.local).free
    if free < needed:
        run.logger.warning(
            f"{folder.path} has room for {free / 1e6:.2f} MB, but the weights alone have "
            f"{needed / 1e6:.2f} MB, and a checkpoint is saved before an older one is deleted; "
            "make room, or set out_dir of CheckpointHook"
        )


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
