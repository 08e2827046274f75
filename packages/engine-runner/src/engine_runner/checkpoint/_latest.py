"""Which checkpoint a run continues from."""

import logging
from pathlib import Path

from engine_fileio import atomic_write

MARKER = "last_checkpoint"

_log = logging.getLogger("engine.runner")


def mark_latest_checkpoint(folder: str | Path, checkpoint: str | Path) -> None:
    """Note in ``folder`` that ``checkpoint`` is the newest complete one.

    The note is replaced in one step: a reader sees the former path or the new one.
    """
    with atomic_write(Path(folder) / MARKER) as file:
        file.write(str(checkpoint).encode())


def find_latest_checkpoint(path: str | Path) -> str | None:
    """Return the newest complete checkpoint of a work directory, or ``None`` if there is none.

    The file ``last_checkpoint`` names it. A work directory that was moved or copied as a whole is
    understood: the name is then looked for beside the note.

    Args:
        path: The work directory of the run.
    """
    marker = Path(path) / MARKER
    if not marker.is_file():
        _log.info("%s holds no %s: there is no checkpoint to resume from", path, MARKER)
        return None
    noted = marker.read_text(encoding="utf-8").strip()
    if "://" in noted or Path(noted).is_file():
        return noted
    beside = marker.with_name(Path(noted).name)
    if beside.is_file():
        return str(beside)
    _log.warning("%s names %s, which does not exist", marker, noted)
    return None
