"""Find the checkpoint that a run resumes from."""

import logging
from pathlib import Path

from engine_fileio import atomic_write

MARKER = "last_checkpoint"

_log = logging.getLogger("engine.runner")


def mark_latest_checkpoint(folder: str | Path, checkpoint: str | Path) -> None:
    """Write to ``folder/last_checkpoint`` that ``checkpoint`` is the newest complete one.

    The file is replaced in one step: a reader sees the former path or the new one.
    """
    with atomic_write(Path(folder) / MARKER) as file:
        file.write(str(checkpoint).encode())


def find_latest_checkpoint(path: str | Path) -> str | None:
    """Return the newest complete checkpoint of a work directory, or ``None`` if there is none.

    The file ``last_checkpoint`` names it. In a work directory that was moved or copied as a whole,
    the name is looked up beside that file. If the file or the checkpoint is missing, the checkpoint
    that was written last is returned, with a warning.

    Args:
        path: The work directory of the run.
    """
    marker = Path(path) / MARKER
    noted = marker.read_text(encoding="utf-8").strip() if marker.is_file() else ""
    # A checkpoint in another storage is not looked up: that may need arguments of its backend.
    if "://" in noted or (noted and Path(noted).is_file()):
        return noted
    if noted and (beside := marker.with_name(Path(noted).name)).is_file():
        return str(beside)
    problem = f"{marker} names {noted}, which does not exist" if noted else f"there is no {marker}"
    newest = _written_last(Path(path))
    if newest is None:
        _log.warning("%s: no checkpoint to resume from", problem)
        return None
    _log.warning("%s; resuming %s, which was written last", problem, newest.name)
    return str(newest)


def checkpoints_beside(path: str | Path) -> list[str]:
    """Return the other checkpoints of the folder that ``path`` lies in, the youngest first.

    Args:
        path: A checkpoint on a local disk; for one elsewhere the list is empty.
    """
    return [file.name for file in _by_age(Path(path).parent) if file.name != Path(path).name]


def _written_last(folder: Path) -> Path | None:
    """Return the youngest checkpoint of a folder, except the best ones, which lack states."""
    found = [file for file in _by_age(folder) if not file.name.startswith("best_")]
    return found[0] if found else None


def _by_age(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pth"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
