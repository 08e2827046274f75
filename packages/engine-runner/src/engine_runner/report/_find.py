"""Find the runs in folders: which log folders belong to one run."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine_fileio import try_lock

_STAMP = re.compile(r"\d{8}_\d{6}(_\d+)?")
_CONTINUES = re.compile(rb"the records of the run continue in (.+)/vis_data\s*$", re.MULTILINE)
_LOCK = ".engine-run.lock"
_HEAD = 256 * 1024  # a log begins with the environment and the config; the line follows these


@dataclass(kw_only=True)
class RunFolder:
    """The folders of one run: where it saves, and one log folder per attempt.

    Attributes:
        work_dir: The folder of the checkpoints.
        attempts: The log folders, from the first start on. The first one has the records.
        name: A name that no other run of the report has.

    Example:
        >>> attempt = Path("work_dirs/a/20260131_120000")
        >>> folder = RunFolder(work_dir=attempt.parent, attempts=[attempt])
        >>> folder.vis_data.name
        'vis_data'
    """

    work_dir: Path
    attempts: list[Path] = field(default_factory=list)
    name: str = ""

    @property
    def vis_data(self) -> Path:
        """The folder of the records."""
        return self.attempts[0] / "vis_data"

    @property
    def is_running(self) -> bool:
        """Whether a training holds the lock of the folder now."""
        return _is_locked(self.work_dir / _LOCK)


def find_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """Return the runs in folders and in the folders below them.

    Args:
        paths: Work directories, log folders of single runs, or folders above several.

    Raises:
        ValueError: A path is not a folder, or there is not a run in it.
    """
    found: dict[Path, RunFolder] = {}
    for path in paths:
        runs = _runs_at(path)
        if not runs:
            raise ValueError(
                f"WORK_DIR must contain a run (a folder like 20260131_120000 with a log or "
                f"scalars), got {path}; pass the work_dir of a training"
            )
        for run in runs:
            found.setdefault(run.attempts[0].resolve(), run)
    runs = list(found.values())
    _name(runs)
    return runs


def _runs_at(path: Path) -> list[RunFolder]:
    if not path.exists():
        raise ValueError(f"WORK_DIR must be a folder, got {path}, which does not exist; check it")
    if not path.is_dir():
        raise ValueError(f"WORK_DIR must be a folder, got the file {path}; pass its folder")
    if path.name == "vis_data":
        path = path.parent
    if _is_attempt(path):
        every = _grouped(path.absolute().parent)
        chosen = [run for run in every if path.absolute() in run.attempts]
        return chosen or [RunFolder(work_dir=path.absolute().parent, attempts=[path.absolute()])]
    return [run for folder in _work_dirs(path.absolute()) for run in _grouped(folder)]


def _work_dirs(path: Path) -> Iterator[Path]:
    """Yield the folders that have log folders, from the given one down, by name."""
    for folder, names, _ in os.walk(path):
        names.sort()
        stamps = [name for name in names if _is_attempt(Path(folder, name))]
        names[:] = [name for name in names if name not in stamps and not name.startswith(".")]
        if stamps:
            yield Path(folder)


def _is_attempt(path: Path) -> bool:
    """Return whether a folder is the log folder of a run."""
    if not _STAMP.fullmatch(path.name) or not path.is_dir():
        return (path / "vis_data" / "scalars.json").is_file()
    return (path / "vis_data").is_dir() or any(path.glob("*.log"))


def _grouped(work_dir: Path) -> list[RunFolder]:
    """Return the runs of a work directory: a resumed attempt belongs to what it continues."""
    runs: dict[str, RunFolder] = {}
    owners: dict[str, RunFolder] = {}
    for attempt in sorted(path for path in work_dir.iterdir() if _is_attempt(path)):
        owner = owners.get(_continued(attempt) or "")
        if owner is None:
            owner = runs[attempt.name] = RunFolder(work_dir=work_dir, attempts=[])
        owner.attempts.append(attempt)
        owners[attempt.name] = owner
    return list(runs.values())


def _continued(attempt: Path) -> str | None:
    """Return the name of the log folder whose records an attempt continues."""
    for log in sorted(attempt.glob("*.log")):
        with log.open("rb") as file:
            found = _CONTINUES.search(file.read(_HEAD))
        if found:
            return Path(os.fsdecode(found[1])).name
    return None


def _name(runs: Sequence[RunFolder]) -> None:
    """Name each run by the end of its path that distinguishes it from the others."""
    folders = list(dict.fromkeys(run.work_dir for run in runs))
    for run in runs:
        parts = run.work_dir.parts
        ends = ("/".join(parts[-length:]) for length in range(1, len(parts)))
        alone = (end for end in ends if sum(_ends(folder, end) for folder in folders) == 1)
        run.name = next(alone, str(run.work_dir))
        if sum(other.work_dir == run.work_dir for other in runs) > 1:
            run.name += f"/{run.attempts[0].name}"


def _ends(folder: Path, end: str) -> bool:
    return folder.as_posix().endswith(f"/{end}")


def _is_locked(lock: Path) -> bool:
    try:
        # Held for microseconds, so that a training that starts meanwhile is not kept out.
        descriptor = os.open(lock, os.O_RDWR)
    except OSError:
        return False
    try:
        return not try_lock(descriptor)
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
