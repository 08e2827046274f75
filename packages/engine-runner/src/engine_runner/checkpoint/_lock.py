"""Keep two trainings out of one folder."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine_dist import broadcast_object_list, is_main_process
from engine_fileio import remove_partials, try_lock
from engine_model.weights import SUFFIX, discard_unfinished
from engine_runner._errors import SettingsError

LOCK = ".engine-run.lock"

_log = logging.getLogger("engine.runner")
_held: set[int] = set()  # the descriptors of the locks of this process


@contextmanager
def training_in(folder: str) -> Iterator[None]:
    """Lock a folder for one training within the block, and delete the rests of killed ones.

    The main rank locks the file ``.engine-run.lock`` in the folder. The operating system releases
    the lock when the process ends, however it ends. All ranks must call this. A folder of another
    storage has no lock; on a file system without locks a warning is logged.

    Args:
        folder: The folder of the checkpoints.

    Raises:
        SettingsError: Another training has the lock; raised on all ranks.
    """
    descriptor = None
    # One message for all ranks: if only the main rank raised, the others would wait for it.
    problem: list[str] = [""]
    if is_main_process() and "://" not in folder:
        descriptor, problem[0] = _lock(Path(folder))
    broadcast_object_list(problem)
    if problem[0]:
        raise SettingsError(problem[0])
    try:
        if descriptor is not None:
            _remove_partials(folder)
        yield
    finally:
        if descriptor in _held:  # not in a forked child
            _held.discard(descriptor)
            os.close(descriptor)


def _lock(folder: Path) -> tuple[int | None, str]:
    """Return the descriptor of the locked file, or None and, if another one has it, the message."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The file is never deleted: another process might lock a new file of the same name.
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        locked = try_lock(descriptor)
    except OSError as error:  # saving reports it; other ranks wait for this one's answer
        _log.warning("%s cannot be locked: %s", folder, error)
        return None, ""
    if locked:
        text = f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%F %T')}\n"
        with suppress(OSError):  # a full disk: the lock holds without its text
            os.ftruncate(descriptor, 0)
            os.write(descriptor, text.encode())
        _held.add(descriptor)
        return descriptor, ""
    holder = os.read(descriptor, 500).decode(errors="replace").strip()
    os.close(descriptor)
    if locked is None:
        _log.warning("%s is on a file system without locks: start one training in it only", folder)
        return None, ""
    return None, (
        f"work_dir must be the folder of one training at a time, but another one runs in {folder}: "
        f"{holder or 'its process is unknown'}; choose another work_dir, or end that training"
    )


def _remove_partials(folder: str) -> None:
    try:
        count = remove_partials(folder)
        for sharded in Path(folder).glob(f"*{SUFFIX}"):
            discard_unfinished(sharded)
            count += remove_partials(sharded)
    except OSError as error:
        _log.warning("the temporary files in %s cannot be deleted: %s", folder, error)
        return
    if count:
        _log.info("deleted %d temporary files of killed processes in %s", count, folder)


def _release_in_child() -> None:
    # A forked worker shares the lock. If it outlives a killed main process for some seconds,
    # the training cannot be restarted until then.
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)
