"""A storage in a dict: a complete new backend in one file. Not a test module."""

from collections.abc import Iterator

from engine_fileio import BaseStorageBackend
from engine_fileio._paths import StrPath, resolve_dots, uri_of
from engine_fileio.backends._keys import Entry, as_folder, entries_of
from engine_fileio.backends._library import import_library

FILES: dict[str, bytes] = {}


class ToyBackend(BaseStorageBackend):
    """Files in a dict of this module."""

    def get(self, filepath: StrPath) -> bytes:
        if not self.isfile(filepath):
            raise self._no_file(filepath)
        return FILES[key(filepath)]

    def get_text(self, filepath: StrPath, encoding: str = "utf-8") -> str:
        return self.get(filepath).decode(encoding)

    def put(self, obj: bytes | memoryview, filepath: StrPath) -> None:
        FILES[key(filepath)] = bytes(obj)

    def exists(self, filepath: StrPath) -> bool:
        return self.isfile(filepath) or self.isdir(filepath)

    def isfile(self, filepath: StrPath) -> bool:
        return key(filepath) in FILES

    def isdir(self, filepath: StrPath) -> bool:
        return any(name.startswith(as_folder(key(filepath))) for name in FILES)

    def remove(self, filepath: StrPath) -> None:
        if not self.isfile(filepath):
            raise self._no_file(filepath)
        del FILES[key(filepath)]

    def connect(self) -> None:
        """Import a library that does not exist."""
        import_library("toy", "no_such_library.client")

    def _entries(self, dir_path: StrPath, recursive: bool) -> Iterator[Entry]:
        if not self.isdir(dir_path):
            raise self._no_file(dir_path)
        folder = as_folder(key(dir_path))
        names = sorted(name for name in FILES if name.startswith(folder))
        return entries_of(names, folder, recursive=recursive)


def key(path: StrPath) -> str:
    return resolve_dots(uri_of(path).removeprefix("toy://"))
