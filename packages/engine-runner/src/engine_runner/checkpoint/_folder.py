"""The folders that a run saves checkpoints to, in any storage, and the arguments of its backend."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from engine_config import Config
from engine_dist import all_gather_object, get_rank
from engine_fileio import (
    BaseStorageBackend,
    LocalBackend,
    get_file_backend,
    local_path,
)
from engine_runner._errors import SettingsError
from engine_runner._protocols import Run

_TRIAL = ".engine-storage-test"
_TRIAL_SIZE = 1 << 16  # a full disk may have room for an empty file
_TAKES_FILES = "Set an out_dir and backend_args that can be written to"
_WAYS_OUT = {
    "work_dir": "Make room there, or set another work_dir, or out_dir of CheckpointHook",
    "out_dir of CheckpointHook": f"{_TAKES_FILES}; without out_dir, checkpoints go to work_dir",
    "out_dir of LoggerHook": f"{_TAKES_FILES}; without out_dir, logs are in work_dir alone",
}


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """A folder of checkpoints in any storage of engine-fileio.

    Attributes:
        path: The folder: a path or a URI.
        backend_args: Arguments of its storage backend.

    Example:
        >>> CheckpointFolder("s3://bucket/run").join("epoch_1.pth")
        's3://bucket/run/epoch_1.pth'
        >>> CheckpointFolder("runs/digits").is_local
        True
    """

    path: str
    backend_args: Mapping[str, Any] | None = None

    @property
    def backend(self) -> BaseStorageBackend:
        """The storage backend, one object per storage and arguments."""
        return get_file_backend(self.path, backend_args=self.backend_args, enable_singleton=True)

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a file system of this machine."""
        if not self.backend_args and "://" not in self.path:
            return True
        return isinstance(self.backend, LocalBackend)

    @property
    def local(self) -> Path:
        """The path of a local folder."""
        return Path(local_path(self.path))

    def join(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return str(self.local / name) if self.is_local else self.backend.join_path(self.path, name)

    def holds(self, filename: str) -> bool:
        """Return whether a path is that of a file in the folder or below it."""
        return filename.startswith(f"{self.path.rstrip('/')}/")

    def read_text(self, name: str) -> str | None:
        """Return the content of a small file in the folder; None if there is no such file.

        Raises:
            OSError: The storage cannot be read.
            ValueError: The content is not text.
        """
        try:
            return bytes(self.backend.get(self.join(name))).decode()
        except FileNotFoundError:
            return None

    def names(self, suffix: str | tuple[str, ...] = "") -> list[str]:
        """Return the names of files and folders with an ending; none if there is no such folder.

        Raises:
            OSError: The folder cannot be listed.
        """
        try:
            return [
                name for name in self.backend.list_dir_or_file(self.path) if name.endswith(suffix)
            ]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def check_writable(self, setting: str) -> None:
        """Write a small file and delete it.

        Args:
            setting: What sets the folder, such as ``"work_dir"``.

        Raises:
            SettingsError: The folder cannot be written to, or its storage is a cache.
        """
        if self.backend.is_cache:
            raise SettingsError(
                f"{setting} must be a storage that keeps files, got {self.path} of "
                f"{self.backend.name}, a cache, which may delete them at any time"
            )
        trial = self.join(_TRIAL)
        try:
            self.backend.put(bytes(_TRIAL_SIZE), trial)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"{setting} must be writable, but {self.path} is not: {error}. {_WAYS_OUT[setting]}"
            ) from error
        try:
            self.backend.remove(trial)
        except OSError:  # a storage that only adds files; an empty one does no harm
            return


def require_writable(folder: CheckpointFolder, setting: str, *, checks: bool) -> None:
    """Raise on all ranks if one cannot write to a folder. All ranks must call this.

    Args:
        folder: The folder.
        setting: What sets it; see `CheckpointFolder.check_writable`.
        checks: Whether this rank writes to the folder, and so checks it.

    Raises:
        SettingsError: A rank that checks cannot write to it.
    """
    problem = ""
    if checks:
        try:
            folder.check_writable(setting)
        except SettingsError as error:  # the other ranks wait for this one
            problem = f"on rank {get_rank()}, {error}" if get_rank() else str(error)
    if found := next(filter(None, all_gather_object(problem)), ""):
        raise SettingsError(found)


@runtime_checkable
class SavesCheckpoints(Protocol):
    """A hook that saves checkpoints."""

    def checkpoint_folder(self, runner: Run) -> CheckpointFolder:
        """Return the folder that the hook saves to."""


def folder_of(
    work_dir: str, out_dir: str | Path | None, backend_args: Mapping[str, Any] | None
) -> CheckpointFolder:
    """Return the folder of a run's checkpoints: ``out_dir/<last part of work_dir>``.

    Args:
        work_dir: The work directory of the run, which is the folder without ``out_dir``.
        out_dir: The root folder, in any storage of engine-fileio.
        backend_args: Arguments of the storage backend.
    """
    if out_dir is None:
        return CheckpointFolder(work_dir, backend_args)
    backend = get_file_backend(out_dir, backend_args=backend_args)
    folder = backend.join_path(out_dir, Path(work_dir).name)
    return CheckpointFolder(folder, backend_args)


def checkpoint_folders(run: Run) -> list[CheckpointFolder]:
    """Return the folders that the hooks of a run save to; the last one is the work directory."""
    hooks = [hook for hook in run.hooks if isinstance(hook, SavesCheckpoints)]
    folders = [*(hook.checkpoint_folder(run) for hook in hooks), CheckpointFolder(run.work_dir)]
    return list({folder.path: folder for folder in folders}.values())


def backend_args_for(
    filename: str, folders: Iterable[CheckpointFolder]
) -> Mapping[str, Any] | None:
    """Return the arguments with which a run reads a file: those of the folder in the same storage.

    Args:
        filename: A path or URI.
        folders: The folders of the run.

    Example:
        >>> folder = CheckpointFolder("s3://bucket/run", {"region_name": "eu-west-1"})
        >>> backend_args_for("s3://bucket/other/epoch_1.pth", [folder])
        {'region_name': 'eu-west-1'}
        >>> backend_args_for("https://example.com/weights.pth", [folder]) is None
        True
    """
    given = [folder for folder in folders if folder.backend_args]
    for folder in sorted(given, key=lambda folder: len(folder.path), reverse=True):
        if folder.holds(filename):
            return folder.backend_args
    scheme, found, _ = filename.partition("://")
    same = [folder for folder in given if found and folder.path.startswith(f"{scheme}://")]
    return same[0].backend_args if same else None


def backend_args_in(config: Config | Mapping[str, Any], filename: str) -> Mapping[str, Any] | None:
    """Return the arguments with which a run of a config reads a file, before it is built.

    Args:
        config: The config, whose hooks have ``out_dir`` and ``backend_args``.
        filename: A path or URI.

    Example:
        >>> hook = {"out_dir": "s3://bucket", "backend_args": {"region_name": "eu-west-1"}}
        >>> config = {"default_hooks": {"checkpoint": hook}}
        >>> backend_args_in(config, "s3://bucket/run/epoch_1.pth")
        {'region_name': 'eu-west-1'}
    """
    return backend_args_for(filename, storages_in(config))


def storages_in(config: Config | Mapping[str, Any]) -> list[CheckpointFolder]:
    """Return the folders of a config's hooks that have arguments of their storage.

    Args:
        config: The config; its hooks may be configs or objects.
    """
    named: Mapping[str, Any] = config.get("default_hooks") or {}
    checkpoint = named.get("checkpoint")
    folders = []
    for hook in (checkpoint, *(config.get("custom_hooks") or [])):
        settings = hook if isinstance(hook, Mapping) else getattr(hook, "__dict__", {})
        arguments = settings.get("backend_args") or settings.get("file_client_args")
        # Those of a hook without a folder may be for images.
        place = settings.get("out_dir") or (config.get("work_dir") if hook is checkpoint else None)
        if arguments and place:
            folders.append(CheckpointFolder(os.fspath(place), dict(arguments)))
    return folders
