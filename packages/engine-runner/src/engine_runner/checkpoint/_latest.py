"""Find the checkpoints that a run can resume from, the newest first."""

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from engine_fileio import OperationNotSupported, get_file_backend, local_path
from engine_model.weights import MANIFEST, SUFFIX, is_sharded_path
from engine_runner.checkpoint._folder import CheckpointFolder
from engine_runner.checkpoint._manifest import read_manifest
from engine_runner.checkpoint._marker import MARKER
from engine_runner.checkpoint._paths import file_name, parent_folder
from engine_runner.checkpoint._publication import is_published

_ENDINGS = (".pth", SUFFIX)  # others, which ``filename_tmpl`` may have, need a manifest

_log = logging.getLogger("engine.runner")


def find_latest_checkpoint(
    path: str | Path, backend_args: Mapping[str, Any] | None = None
) -> str | None:
    """Return the newest checkpoint of a work directory, or ``None`` if there is none.

    The file ``last_checkpoint`` names it. In a work directory that was moved or copied, the name is
    looked up beside that file. If the file cannot be used, or the checkpoint is missing, the
    checkpoint that was written last is returned, with a warning. That is a file ``….pth``, a folder
    ``….dcp``, or a file with another ending and a manifest beside it.

    Args:
        path: The work directory of the run, or another folder of checkpoints in any storage of
            engine-fileio.
        backend_args: Arguments of the storage backend.

    Raises:
        OSError: The storage cannot be read, so that nothing is known about its checkpoints.
    """
    return next(iter(latest_checkpoints([CheckpointFolder(os.fspath(path), backend_args)])), None)


def latest_checkpoints(folders: Sequence[CheckpointFolder]) -> list[str]:
    """Return all checkpoints of a run that it can resume from, the newest first.

    The first is that of `find_latest_checkpoint`; the others are for the case that it is damaged.
    The best checkpoints come last, as the training continued after them, and after these the
    published copies, which may lack what a run resumes from.

    Args:
        folders: The folders that the run saves to, the one that it saves to most first. The last
            one is the work directory.

    Raises:
        OSError: A storage cannot be read, so that nothing is known about its checkpoints.
    """
    marked, problems = _all_marked(folders)
    places = _with_parents(folders, marked)
    if len(marked) > 1:  # stable: of those saved at one time, that of the first folder
        marked.sort(key=_saved_at(places), reverse=True)
    others = [file for place in places.values() for file in _checkpoints_in(place, marked)]
    others.sort(key=_resumed_late)
    found = _distinct([*marked, *others])
    if problems and not marked:
        _warn(problems, found)
    return found


def checkpoints_beside(
    path: str | Path, backend_args: Mapping[str, Any] | None = None
) -> list[str]:
    """Return the names of the other checkpoints in the folder of ``path``, the youngest first.

    Args:
        path: A checkpoint.
        backend_args: Arguments of the storage backend. If the storage cannot list the folder, the
            list is empty.
    """
    folder = CheckpointFolder(parent_folder(os.fspath(path)), backend_args)
    try:
        found = _listed(folder)
    except (OSError, ValueError, ImportError):
        return []
    return [file_name(file) for file in found if file_name(file) != file_name(str(path))]


def _all_marked(folders: Sequence[CheckpointFolder]) -> tuple[list[str], list[str]]:
    """Return the checkpoints that markers name, and what is wrong with the other markers."""
    marked: list[str] = []
    problems: list[str] = []
    for folder in folders:
        noted, problem = _noted(folder)
        file, problem = _marked(folder, noted) if noted else ("", problem)
        (marked if file else problems).append(file or problem)
    return _distinct(marked), problems


def _with_parents(
    folders: Sequence[CheckpointFolder], marked: Sequence[str]
) -> dict[str, CheckpointFolder]:
    """Return the folders by their paths, those of marked checkpoints first."""
    known = {folder.path: folder for folder in folders}
    parents = [parent_folder(file) for file in marked]
    first = {path: known.get(path, CheckpointFolder(path)) for path in parents}
    return {**first, **{path: place for path, place in known.items() if path not in first}}


def _warn(problems: Sequence[str], found: Sequence[str]) -> None:
    problem = "; ".join(problems)
    if found:
        _log.warning("%s; resuming %s, which was written last", problem, file_name(found[0]))
    else:
        _log.warning("%s: no checkpoint to resume from", problem)


def _resumed_late(file: str) -> int:
    """Return 0 for a checkpoint of an interval, 1 for a best one and 2 for a published copy."""
    return 2 if is_published(file) else int(file_name(file).startswith("best_"))


def _saved_at(places: Mapping[str, CheckpointFolder]) -> Callable[[str], float]:
    """Return a key that sorts checkpoints by the times in their manifests."""

    def time_of(file: str) -> float:
        manifest = read_manifest(file, places[parent_folder(file)].backend_args)
        try:
            return datetime.fromisoformat(manifest.saved).timestamp() if manifest else 0
        except ValueError:
            return 0

    return time_of


def _noted(folder: CheckpointFolder) -> tuple[str, str]:
    """Return the path in the marker and an empty string, or an empty string and the problem."""
    marker = folder.join(MARKER)
    try:
        text = folder.read_text(MARKER)
    except (OSError, ValueError) as error:  # a folder, not readable, not UTF-8
        if not folder.is_local and isinstance(error, OSError):
            raise  # else a run might begin anew, over the checkpoints that it cannot see
        return "", f"{marker} cannot be read: {error}"
    if text is None:
        return "", f"there is no {marker}"
    noted = os.fspath(local_path(text.strip()))
    if "\0" in noted or "\n" in noted:
        return "", f"{marker} names no file"
    return noted, "" if noted else f"{marker} is empty"


def _marked(folder: CheckpointFolder, noted: str) -> tuple[str, str]:
    """Return the checkpoint that a folder's marker names; one of the two strings is empty.

    The second is the problem with the name.
    """
    if not folder.is_local:
        return _marked_elsewhere(folder, noted)
    if "://" in noted:
        # Another storage is not asked whether the file is there: that may need arguments of its
        # backend. A storage that is not known cannot have it.
        try:
            get_file_backend(noted)
        except (ValueError, ImportError) as error:
            return "", f"{folder.join(MARKER)} names {noted}: {error}"
        return noted, ""
    beside = folder.local / Path(noted).name
    # The folder of a marker that names a path is a work directory: this one is a copy.
    original = _marks_a_path(Path(noted).parent) and not _same(Path(noted).parent, folder.local)
    if file_name(noted) != noted and _is_checkpoint(Path(noted)) and not original:
        return noted, ""
    if _is_checkpoint(beside):
        return str(beside), ""
    shown = noted if len(noted) <= 200 else f"{noted[:200]}…"
    where = "in another work directory" if original else "which does not exist"
    return "", f"{folder.join(MARKER)} names {shown}, {where}"


def _marks_a_path(folder: Path) -> bool:
    """Return whether a folder is a work directory, and not an ``out_dir``, which marks a name."""
    try:
        noted = (folder / MARKER).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return False
    return file_name(noted) != noted


def _marked_elsewhere(folder: CheckpointFolder, noted: str) -> tuple[str, str]:
    """Return the checkpoint beside the marker of another storage: the folder may be a copy."""
    beside = folder.join(file_name(noted))
    main = folder.backend.join_path(beside, MANIFEST) if is_sharded_path(beside) else beside
    try:
        found = beside == noted or folder.backend.isfile(main)
    except OperationNotSupported:  # one of the user's, which only reads and writes
        found = True
    if found:
        return beside, ""
    return "", f"{folder.join(MARKER)} names {noted}, which is not in {folder.path}"


def _checkpoints_in(folder: CheckpointFolder, marked: Sequence[str]) -> list[str]:
    """Return the checkpoints of a folder, the newest first.

    Raises:
        OSError: The folder cannot be listed, and no marker names a checkpoint.
    """
    try:
        return _listed(folder)
    except (OSError, ValueError, ImportError) as error:
        # Without a list, a run might begin anew, over the checkpoints that it cannot see. A storage
        # that has no lists has the marker alone.
        if not marked and not isinstance(error, OperationNotSupported):
            raise
        _log.warning("%s cannot be listed: %s", folder.path, error)
        return []


def _listed(folder: CheckpointFolder) -> list[str]:
    names = _names(folder)
    if folder.is_local:
        found = filter(_is_checkpoint, map(folder.local.joinpath, names))
        return [str(file) for file in sorted(found, key=_written_at, reverse=True)]
    # Storages report no times in common, so the numbers in the names decide.
    names.sort(key=lambda name: [int(part) for part in re.findall(r"\d+", name)], reverse=True)
    return [folder.join(name) for name in names]


def _names(folder: CheckpointFolder) -> list[str]:
    """Return the names of a folder that are those of checkpoints, by ending or by manifest."""
    all_names = folder.names()
    known = set(all_names)

    def has_manifest(name: str) -> bool:
        if f"{name}.json" not in known:
            return False
        manifest = read_manifest(folder.join(name), folder.backend_args)
        # A file of safetensors has weights alone.
        return manifest is not None and manifest.format == "torch"

    return [name for name in all_names if name.endswith(_ENDINGS) or has_manifest(name)]


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


def _distinct(files: Iterable[str]) -> list[str]:
    """Return the files without those that are listed twice, under whatever spelling."""
    seen: dict[str, str] = {}
    for file in files:
        seen.setdefault(file if "://" in file else str(Path(file).resolve()), file)
    return list(seen.values())
