"""The folder of a sharded checkpoint in any storage: its files, and its manifest."""

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import file_digest, sha256
from pathlib import Path
from typing import IO, Any

from engine_fileio import (
    LocalBackend,
    atomic_write,
    get_file_backend,
    local_path,
)
from engine_model.weights._errors import CheckpointError
from engine_model.weights._naming import naming_the_file

SUFFIX = ".dcp"
MANIFEST = "manifest.json"
VERSION = 1

_OWN = re.compile(r"[0-9a-f]{8}_[0-9]+\.distcp|([0-9a-f]{8})?\.metadata|\.engine-.*\.part")


def is_sharded_path(path: str | Path) -> bool:
    """Return whether a path or address is that of a sharded checkpoint, by its ending ``.dcp``.

    Example:
        >>> is_sharded_path("s3://bucket/run/epoch_3.dcp"), is_sharded_path("epoch_3.pth")
        (True, False)
    """
    return str(path).rstrip("/\\").endswith(SUFFIX)


def remove_sharded(path: str, backend_args: Mapping[str, Any] | None = None) -> None:
    """Delete a sharded checkpoint, its manifest first: what is left is not a checkpoint.

    Args:
        path: The path or address of the folder.
        backend_args: Arguments of the storage backend.

    Raises:
        FileNotFoundError: There is no such folder.
        OSError: A file cannot be deleted.
    """
    folder = Folder(path, backend_args)
    with suppress(FileNotFoundError):
        folder.backend.remove(folder.join(MANIFEST))
    folder.backend.rmtree(folder.path)


def sharded_damage(path: str, backend_args: Mapping[str, Any] | None = None) -> str | None:
    """Return how the files of a sharded checkpoint differ from its manifest, or None.

    Args:
        path: The path or address of the folder.
        backend_args: Arguments of the storage backend.
    """
    folder = Folder(path, backend_args)
    try:
        for name, stored in folder.manifest()["files"].items():
            with folder.open(name) as file:
                check_file(file, folder.join(name), stored)
    except (CheckpointError, FileNotFoundError) as error:
        return str(error)
    return None


class HashedFile:
    """A binary file that is written once, with its size and SHA-256 so far.

    Args:
        file: The file, opened for writing.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes so far, in hex digits."""
        return self._hash.hexdigest()

    def write(self, data: Any) -> int:
        """Write bytes, or a buffer of them, and return their number."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self._file.write(view)
        self.size += len(view)
        return len(view)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


class Folder:
    """A folder in any storage of engine-fileio.

    Args:
        path: The path or address of the folder; ``~`` is the home folder.
        backend_args: Arguments of the storage backend.
    """

    def __init__(self, path: str | Path, backend_args: Mapping[str, Any] | None = None) -> None:
        text = str(path).rstrip("/\\")
        arguments = dict(backend_args) if backend_args else None
        self.backend = get_file_backend(text, backend_args=arguments)
        self.is_local = isinstance(self.backend, LocalBackend)
        if self.is_local:
            text = str(local_path(text))
        self.path = text

    def join(self, name: str) -> str:
        """Return the path or address of a file in the folder."""
        return self.backend.join_path(self.path, name)

    def write(self, name: str, fill: Callable[[HashedFile], None]) -> dict[str, Any]:
        """Write a file, check it, and return its size and SHA-256.

        Args:
            name: The name of the file.
            fill: Writes the content.

        Raises:
            OSError: The storage cannot be written to, or returns other bytes.
        """
        with naming_the_file(self.join(name)):
            return self._write(name, fill)

    def _write(self, name: str, fill: Callable[[HashedFile], None]) -> dict[str, Any]:
        if self.is_local:
            with atomic_write(self.join(name)) as file:
                hashed = HashedFile(file)
                fill(hashed)
                file.flush()
                file.seek(0)
                if _digest(file) != hashed.digest:
                    raise OSError(f"{self.join(name)} does not have the bytes that were written")
        else:
            # A file and not memory, which the shards of a large model may not fit a second time.
            with tempfile.NamedTemporaryFile(prefix="engine-", suffix=".distcp") as file:
                hashed = HashedFile(file)
                fill(hashed)
                file.flush()
                self.backend.copyfile_from_local(file.name, self.join(name))
        return {"size": hashed.size, "sha256": hashed.digest}

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file for reading; one of another storage is copied to a temporary file."""
        with self.backend.get_local_path(self.join(name)) as local, open(local, "rb") as file:
            yield file

    def remove(self, names: Iterable[str]) -> None:
        """Delete files that may be gone already."""
        for name in names:
            with suppress(OSError):
                self.backend.remove(self.join(name))

    def names(self) -> list[str]:
        """Return the names of the files; none if there is no folder."""
        try:
            return list(self.backend.list_dir_or_file(self.path, list_dir=False))
        except FileNotFoundError:
            return []

    def manifest(self) -> dict[str, Any]:
        """Return the manifest.

        Raises:
            CheckpointError: It has other content.
            FileNotFoundError: There is none.
        """
        try:
            text = self.backend.get_text(self.join(MANIFEST))
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.path} has no {MANIFEST}: it is not a checkpoint, or its save was not "
                "completed; use another checkpoint"
            ) from error
        except NotADirectoryError as error:
            raise CheckpointError(
                f"{self.path} must be a folder, as its name ends with {SUFFIX}, but is a file; "
                "rename it"
            ) from error
        except ValueError as error:  # the bytes are not UTF-8
            raise self._damaged(error) from error
        try:
            manifest = json.loads(text)
            if manifest["version"] != VERSION or manifest["metadata"] not in manifest["files"]:
                raise ValueError(f"version must be {VERSION}, and metadata one of the files")
            for stored in manifest["files"].values():
                int(stored["size"]), str(stored["sha256"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(error) from error
        return dict(manifest)

    def _damaged(self, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"{self.join(MANIFEST)} is damaged: {type(error).__name__}: {error}; use another copy "
            "or checkpoint"
        )


def check_file(file: IO[bytes], name: str, stored: Mapping[str, Any]) -> None:
    """Check that a file is the one that was saved; it is at its start afterwards.

    Args:
        file: The file.
        name: Its path, for the message.
        stored: Its ``size`` and ``sha256`` in the manifest.

    Raises:
        CheckpointError: It has other bytes.
    """
    size = file.seek(0, 2)
    file.seek(0)
    problem = ""
    if size != stored["size"]:
        problem = f"it has {size} bytes, but {stored['size']} were saved"
    elif _digest(file) != stored["sha256"]:
        problem = "its bytes are not those that were saved"
    file.seek(0)
    if problem:
        raise CheckpointError(f"{name} is damaged: {problem}; use another copy or checkpoint")


def _digest(file: IO[bytes]) -> str:
    return file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # it calls readinto


def summary(files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the size of all files, and one SHA-256 of their names and checksums."""
    lines = "".join(f"{stored['sha256']}  {name}\n" for name, stored in sorted(files.items()))
    return {
        "size": sum(stored["size"] for stored in files.values()),
        "sha256": sha256(lines.encode()).hexdigest(),
    }


def is_own_file(name: str) -> bool:
    """Return whether a save may have written a file of this name, other than the manifest."""
    return _OWN.fullmatch(name) is not None


def discard_unfinished(path: Path) -> None:
    """Delete a local folder whose save was not completed, which a killed process has left.

    A folder with other files than a save writes stays.

    Args:
        path: The folder. No process may write to it.
    """
    names = [item.name for item in path.iterdir()]
    if MANIFEST not in names and all(map(is_own_file, names)):
        shutil.rmtree(path, ignore_errors=True)
