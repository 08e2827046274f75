"""Save a checkpoint outside of the intervals, such as that of a run that a signal stops."""

from engine_dist import is_main_process
from engine_runner._errors import CheckpointWriteError
from engine_runner._progress import Progress
from engine_runner._protocols import Run
from engine_runner.checkpoint._folder import CheckpointFolder, checkpoint_folders
from engine_runner.checkpoint._marker import mark_or_log


def save_now(run: Run, filename: str, progress: Progress) -> str:
    """Save a checkpoint where the run saves its others, mark it as the latest, and return its path.

    If that storage cannot be written to, the checkpoint is saved to the work directory, after an
    error in the log. All ranks must call this.

    Args:
        run: The run.
        filename: The name of the checkpoint.
        progress: The counters to save.

    Raises:
        CheckpointWriteError: The work directory cannot be written to, either.
    """
    place, local = checkpoint_folders(run)[0], CheckpointFolder(run.work_dir)
    try:
        path = _save(run, place, filename, progress)
    except CheckpointWriteError as error:
        if place.path == local.path:
            raise
        run.logger.error(f"{filename} is saved to {local.path}, as {place.path} failed: {error}")
        place, path = local, _save(run, local, filename, progress)
    if is_main_process():
        mark_or_log(run.work_dir, path, run.logger, saved_in=place)
    return path


def _save(run: Run, place: CheckpointFolder, filename: str, progress: Progress) -> str:
    return run.save_checkpoint(
        place.path, filename, backend_args=place.backend_args, progress=progress
    )
