"""Find the checkpoints that a run can resume from, the newest first."""

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine_fileio import atomic_write, get_file_backend, join_path, list_dir_or_file
from engine_model.weights import MANIFEST, SUFFIX, is_sharded_path
from engine_runner.checkpoint._publication import is_published

MARKER = "last_checkpoint"

_log = logging.getLogger("engine.runner")


def mark_latest_checkpoint(folder: str | Path, checkpoint: str | Path) -> None:
    """Write to ``folder/last_checkpoint`` that ``checkpoint`` is the newest complete one.

    The file is replaced in one step: a reader sees the former path or the new one.
    """
    with atomic_write(Path(folder) / MARKER) as file:
        file.write(str(checkpoint).encode())


def mark_or_log(folder: str | Path, checkpoint: str, logger: logging.Logger) -> bool:
    """Do as `mark_latest_checkpoint`, log an error if that fails, and return whether it succeeded.

    Args:
        folder: The work directory.
        checkpoint: The path of the checkpoint.
        logger: The log for the error.
    """
    try:
        mark_latest_checkpoint(folder, checkpoint)
    except OSError as error:
        logger.error(f"{MARKER} was not written: {error}. It names an older checkpoint")
        return False
    return True


def marked_at(folder: str | Path) -> int | None:
    """Return when ``folder/last_checkpoint`` was written, in nanoseconds; None if there is none."""
    try:
        return (Path(folder) / MARKER).stat().st_mtime_ns
    except OSError:
        return None


def warn_of_earlier_run(work_dir: str, logger: logging.Logger) -> None:
    """Warn if a new run is about to overwrite checkpoints of an earlier one."""
    if Path(work_dir, MARKER).is_file():
        logger.warning(
            f"{work_dir} has checkpoints of an earlier run, and this run overwrites those of the "
            "same name; resume the earlier run, or choose another work_dir"
        )


def find_latest_checkpoint(path: str | Path) -> str | None:
    """Return the newest checkpoint of a work directory, or ``None`` if there is none.

    The file ``last_checkpoint`` names it. In a work directory that was moved or copied, the name is
    looked up beside that file. If the file cannot be used, or the checkpoint is missing, the
    checkpoint that was written last is returned, with a warning.

    Args:
        path: The work directory of the run.
    """
    return next(iter(latest_checkpoints(path)), None)


def latest_checkpoints(path: str | Path) -> list[str]:
    """Return all checkpoints of a work directory that a run can resume from, the newest first.

    The first is that of `find_latest_checkpoint`; the others are for the case that it is damaged.
    The best checkpoints come last, as the training continued after them, and after these the
    published copies, which may lack what a run resumes from.

    Args:
        path: The work directory of the run.
    """
    folder = Path(path)
    noted, problem = _noted(folder / MARKER)
    marked, problem = _marked(folder, noted) if noted else ("", problem)
    folders = [str(folder)]
    if marked and _parent(marked) != str(folder):
        folders.insert(0, _parent(marked))
    others = [file for place in folders for file in _checkpoints_in(place)]
    others.sort(key=_resumed_late)
    found = _distinct([*([marked] if marked else []), *others])
    if problem and found:
        _log.warning("%s; resuming %s, which was written last", problem, _name(found[0]))
    elif problem:
        _log.warning("%s: no checkpoint to resume from", problem)
    return found


def checkpoints_beside(path: str | Path) -> list[str]:
    """Return the other checkpoints of the folder that ``path`` lies in, the youngest first.

    Args:
        path: A checkpoint on a local disk; for one elsewhere the list is empty.
    """
    return [file.name for file in _by_age(Path(path).parent) if file.name != Path(path).name]


def _resumed_late(file: str) -> int:
    """Return 0 for a checkpoint of an interval, 1 for a best one and 2 for a published copy."""
    return 2 if is_published(file) else int(_name(file).startswith("best_"))


def _noted(marker: Path) -> tuple[str, str]:
    """Return the path in the marker and an empty string, or an empty string and the problem."""
    try:
        noted = marker.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return "", f"there is no {marker}"
    except (OSError, ValueError) as error:  # a folder, not readable, not UTF-8
        return "", f"{marker} cannot be read: {error}"
    if "\0" in noted or "\n" in noted:
        return "", f"{marker} names no file"
    return noted, "" if noted else f"{marker} is empty"


def _marked(folder: Path, noted: str) -> tuple[str, str]:
    """Return the checkpoint that a folder's marker names; one of the two strings is empty.

    The second is the problem with the name.
    """
    if "://" in noted:
        # Another storage is not asked whether the file is there: that may need arguments of its
        # backend. A storage that is not known cannot have it.
        try:
            get_file_backend(noted)
        except (ValueError, ImportError) as error:
            return "", f"{folder / MARKER} names {noted}: {error}"
        return noted, ""
    beside = folder / Path(noted).name
    # A folder with a marker of its own is the work directory of another run: this one is a copy.
    original = _is_file(Path(noted).with_name(MARKER)) and not _same(Path(noted).parent, folder)
    if _is_checkpoint(Path(noted)) and not original:
        return noted, ""
    if _is_checkpoint(beside):
        return str(beside), ""
    shown = noted if len(noted) <= 200 else f"{noted[:200]}…"
    where = "in another work directory" if original else "which does not exist"
    return "", f"{folder / MARKER} names {shown}, {where}"


def _checkpoints_in(folder: str) -> list[str]:
    """Return the checkpoints of a folder, the newest first."""
    if "://" not in folder:
        return [str(file) for file in _by_age(Path(folder))]
    # Storages report no times in common, so the numbers in the names decide.
    try:
        names = [name for name in list_dir_or_file(folder) if name.endswith((".pth", SUFFIX))]
    except (OSError, ValueError, ImportError) as error:
        _log.warning("%s cannot be listed: %s", folder, error)
        return []
    names.sort(key=lambda name: [int(part) for part in re.findall(r"\d+", name)], reverse=True)
    return [join_path(folder, name) for name in names]


def _by_age(folder: Path) -> list[Path]:
    files = [*folder.glob("*.pth"), *folder.glob(f"*{SUFFIX}")]
    return sorted(_existing(files), key=_written_at, reverse=True)


def _existing(files: Iterable[Path]) -> Iterator[Path]:
    return (file for file in files if _is_checkpoint(file))


def _written_at(file: Path) -> int:
    try:
        return _main_file(file).stat().st_mtime_ns
    except FileNotFoundError:  # deleted since it was listed
        return 0


def _is_checkpoint(file: Path) -> bool:
    """Return whether there is a checkpoint file, or a folder of shards with its manifest."""
    return _is_file(_main_file(file))


def _main_file(file: Path) -> Path:
    return file / MANIFEST if is_sharded_path(file) else file


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except (OSError, ValueError):  # the name is too long, or has a null byte
        return False


def _same(first: Path, second: Path) -> bool:
    return first.resolve() == second.resolve()


def _distinct(files: list[str]) -> list[str]:
    """Return the files without those that are listed twice, under whatever spelling."""
    seen: dict[str, str] = {}
    for file in files:
        seen.setdefault(file if "://" in file else str(Path(file).resolve()), file)
    return list(seen.values())


def _parent(file: str) -> str:
    return file.rpartition("/")[0] if "://" in file else str(Path(file).parent)


def _name(file: str) -> str:
    return re.split(r"[/\\]", file)[-1]
