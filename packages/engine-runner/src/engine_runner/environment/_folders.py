"""Name a run and create its folder, so that no two runs share either."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import Any

from engine_dist import broadcast_object_list, get_rank
from engine_logging import MMLogger
from engine_runner._errors import SettingsError
from engine_visualization import Visualizer

_lock = threading.Lock()
_chosen: set[str] = set()  # the names of runs of this process


def create_log_dir(work_dir: Path, timestamp: str | None = None) -> Path:
    """Create ``work_dir/<timestamp>`` for this run alone, and return it on every rank.

    A second run of the same second gets ``<timestamp>_1``, and so on.

    Args:
        work_dir: The folder around it.
        timestamp: When the run started; now by default.

    Raises:
        SettingsError: ``work_dir`` cannot be created or written to.
    """
    # One rank chooses, since clocks and seconds differ among ranks.
    shared: list[Any] = [None]
    if get_rank() == 0:
        shared[0] = str(_claim_folder(work_dir, timestamp or _now()))
    broadcast_object_list(shared)
    return Path(shared[0])


def _now() -> str:
    return datetime.now().strftime("%Y%m%d_%H%M%S")


def missing_folders(folder: Path) -> tuple[Path, ...]:
    """Return the folders that creating one would create, from the innermost out."""
    return tuple(each for each in (folder, *folder.parents) if not each.exists())


def remove_log_dir(log_dir: Path, created: Sequence[Path]) -> None:
    """Remove the log folder of a run that did not start, and close what writes to it.

    Args:
        log_dir: The folder of this run's logs.
        created: The folders around it that the run has created, from the innermost out. Those that
            are empty then are removed.
    """
    # Trackers write in threads. They would fail without their folder, and log lost records.
    for visualizer in list(Visualizer._instance_dict.values()):
        if any(log_dir in folder.parents for folder in visualizer.save_dirs):
            visualizer.close()
    for logger in list(MMLogger._instance_dict.values()):
        if any(log_dir in file.parents for file in logger.log_files):
            logger.close()
    rmtree(log_dir, ignore_errors=True)
    for folder in created:
        with suppress(OSError):  # it holds something
            folder.rmdir()


def _claim_folder(work_dir: Path, timestamp: str) -> Path:
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        return _new_folder(work_dir, timestamp)
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(f"work_dir {work_dir} is not writable: {reason}") from error


def _new_folder(work_dir: Path, timestamp: str) -> Path:
    for number in range(1000):
        folder = work_dir / (f"{timestamp}_{number}" if number else timestamp)
        # Creating the folder claims the name: no other process can have created it, too.
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{work_dir} holds a thousand runs of the second {timestamp}")


def experiment_name(given: str | None, config_file: str | None, timestamp: str) -> str:
    """Return the run's name, which no other run of this process has.

    Args:
        given: The name that the settings give to the experiment.
        config_file: Whose name is taken if there is none.
        timestamp: When the run started.
    """
    stem = given or (Path(config_file).stem if config_file else None)
    name = f"{stem}_{timestamp}" if stem else timestamp
    with _lock:  # the logger that takes the name is created later
        taken = MMLogger.check_instance_created
        chosen = next(n for n in _numbered(name) if not taken(n) and n not in _chosen)
        _chosen.add(chosen)
    return chosen


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{number}" for number in count(1))
