"""Read and write values of an LMDB database, also in forked processes."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar
from weakref import WeakValueDictionary

from engine_fileio._errors import OperationNotSupported, StorageError
from engine_fileio._paths import StrPath, uri_of
from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._keys import Entry, as_folder, entries_of
from engine_fileio.backends._library import import_library
from engine_utils import expand_home

T = TypeVar("T")

# The map takes address space only; the file grows with its content. A smaller map could become
# full, and each process would have to enlarge it.
_MAP_SIZE = 1 << 40


class LmdbBackend(BaseStorageBackend):
    """The values of an LMDB database by key; a slash in a key separates folders.

    A value is held in memory while it is read or written. The database is opened on first use, once
    per process for all backends. A forked child opens it again.

    Args:
        db_path: Folder of the database, or its file with ``subdir=False``.
        readonly: Whether to open the database for reading only.
        lock: Whether readers take a lock. It is needed if another process writes. Writers always
            take it.
        readahead: Whether the operating system reads ahead, which is slower for random access to
            a database larger than the memory.
        **kwargs: Other arguments of ``lmdb.open``, such as ``map_size`` or ``max_readers``.

    Attributes:
        db_path: The argument.

    Example:
        >>> import tempfile
        >>> backend = LmdbBackend(tempfile.mkdtemp(), readonly=False)
        >>> backend.put_text("a cat", "captions/0001")
        >>> backend.get_text("captions/0001"), list(backend.list_dir_or_file("captions"))
        ('a cat', ['0001'])
    """

    def __init__(
        self,
        db_path: StrPath,
        readonly: bool = True,
        lock: bool = False,
        readahead: bool = False,
        **kwargs: Any,
    ) -> None:
        self.db_path = db_path
        self._readonly = readonly
        self._options = {
            "map_size": _MAP_SIZE,
            **kwargs,
            "readonly": readonly,
            "lock": lock or not readonly,
            "readahead": readahead,
        }
        self._environment: _Environment | None = None

    def get(self, filepath: StrPath) -> bytes:
        """Return the value of a key.

        Raises:
            FileNotFoundError: The database has no such key.
        """
        with self._begin() as transaction:
            value: bytes | None = transaction.get(_key(filepath))
        if value is None:
            raise self._missing(filepath)
        return value

    def get_text(self, filepath: StrPath, encoding: str | None = None) -> str:
        """Return the value of a key as text, UTF-8 unless ``encoding`` is given."""
        return self.get(filepath).decode(encoding or "utf-8")

    def put(self, obj: bytes | memoryview, filepath: StrPath) -> None:
        """Write the value of a key, in a transaction that is flushed to disk."""
        self._change("put", lambda transaction: transaction.put(_key(filepath), obj))

    def exists(self, filepath: StrPath) -> bool:
        """Return whether there is a key of this name, or one under it."""
        return self.isfile(filepath) or self.isdir(filepath)

    def isfile(self, filepath: StrPath) -> bool:
        """Return whether there is a key of this name."""
        name = uri_of(filepath)
        if not name:
            return False
        with self._begin(buffers=True) as transaction:  # a buffer: the value is not copied
            return transaction.get(_key(name)) is not None

    def isdir(self, filepath: StrPath) -> bool:
        """Return whether any key lies under this name; the empty name is the database."""
        prefix = as_folder(uri_of(filepath))
        return not prefix or next(iter(self._keys(prefix, limit=1)), None) is not None

    def remove(self, filepath: StrPath) -> None:
        """Delete a key.

        Raises:
            FileNotFoundError: The key does not exist.
            IsADirectoryError: The name is a folder of keys; use ``rmtree``.
        """
        if not self._change("remove", lambda transaction: transaction.delete(_key(filepath))):
            raise self._no_file(filepath)

    def rmtree(self, dir_path: StrPath) -> None:
        """Delete all keys in a folder, in one transaction."""
        names = self._keys(as_folder(uri_of(dir_path)))
        if not names:
            raise self._missing(dir_path)
        self._change("rmtree", lambda writer: [writer.delete(_key(name)) for name in names])

    def _entries(self, dir_path: StrPath, recursive: bool) -> Iterator[Entry]:
        prefix = as_folder(uri_of(dir_path))
        names = self._keys(prefix)
        if prefix and not names:
            raise self._missing(dir_path)
        return entries_of(names, prefix, recursive=recursive)

    def _download(self, filepath: StrPath, file: BinaryIO) -> None:
        with self._begin(buffers=True) as transaction:
            value = transaction.get(_key(filepath))
            if value is None:
                raise self._missing(filepath)
            file.write(value)  # inside the transaction: the buffer is valid only there

    def _keys(self, prefix: str, limit: int | None = None) -> list[str]:
        found: list[str] = []
        start = prefix.encode()
        # Keys are sorted, so the keys with one prefix are adjacent. All are read before the first
        # is used: an open transaction would keep the pages of deleted values.
        with self._begin() as transaction, transaction.cursor() as cursor:
            more = cursor.set_range(start)
            while more and cursor.key().startswith(start) and len(found) != limit:
                found.append(cursor.key().decode(errors="surrogateescape"))
                more = cursor.next()
        return found

    def _begin(
        self, *, write: bool = False, buffers: bool = False
    ) -> contextlib.AbstractContextManager[Any]:
        if self._environment is None:
            self._environment = _shared_environment(
                os.fspath(expand_home(self.db_path)), self._options
            )
        return self._environment.begin(write=write, buffers=buffers)

    def _change(self, operation: str, change: Callable[[Any], T]) -> T:
        if self._readonly:
            raise OperationNotSupported(
                self.name, operation, "the database is open for reading only; pass readonly=False"
            )
        library = import_library("lmdb", "lmdb")
        try:
            with self._begin(write=True) as transaction:
                return change(transaction)
        except library.MapFullError as error:
            raise StorageError(
                f"the database {str(self.db_path)!r} is full: {operation} does not fit in its "
                f"map_size of {self._options['map_size']} bytes. Pass a larger map_size; it takes "
                "address space only, and the file grows with its content"
            ) from error

    def _missing(self, filepath: StrPath) -> FileNotFoundError:
        return FileNotFoundError(f"{str(self.db_path)!r} has no key {uri_of(filepath)!r}")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_environment": None}  # an open database cannot be pickled


class _Environment:
    """An open database, shared by all backends of a process: LMDB must not open one twice.

    LMDB also forbids an open database across ``fork``: the child must not use it, close it, or open
    it again. Therefore it is closed before a fork, after all transactions have ended. Parent and
    child open it again on the next use.

    Args:
        path: The folder or file of the database.
        options: Arguments of ``lmdb.open``.
    """

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        self.path = path
        self.options = options
        self._opened: Any = None
        self._inside = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def begin(self, **options: bool) -> Iterator[Any]:
        """Begin a transaction, and end it with the block."""
        # Transactions of several threads may overlap. Only opening, counting and closing take the
        # lock.
        with self._changed:
            if self._opened is None:
                self._opened = self._open()
            self._inside += 1
        library = import_library("lmdb", "lmdb")
        try:
            with self._opened.begin(**options) as transaction:
                yield transaction
        except (library.CorruptedError, library.PageNotFoundError) as error:
            raise StorageError(
                f"the LMDB database {self.path!r} is damaged: {error}; copy or download it again"
            ) from error
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Wait until all transactions have ended, close the database, and keep the lock."""
        # The lock is held across the fork, so that no thread opens the database in between. The
        # child inherits the locked lock, and its only thread, a copy of this one, releases it.
        self._changed.acquire()
        self._changed.wait_for(lambda: self._inside == 0)
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def after_fork(self) -> None:
        """Release the lock of `before_fork`."""
        self._changed.release()

    def _open(self) -> Any:
        library = import_library("lmdb", "lmdb")
        if self.options["readonly"] and not os.path.exists(self.path):
            raise FileNotFoundError(f"the LMDB database {self.path!r} does not exist")
        try:
            opened = library.open(self.path, **self.options)
        except TypeError as error:  # the message of lmdb names neither the option nor the database
            raise TypeError(
                f"the options {sorted(self.options)} of {self.path!r} must be arguments of "
                f"lmdb.open: {error}"
            ) from error
        except library.Error as error:
            raise StorageError(
                f"the LMDB database {self.path!r} cannot be opened: {error}"
            ) from error
        self._check_size(opened)
        return opened

    def _check_size(self, opened: Any) -> None:
        """Raise if the file is truncated: reading a page behind its end would kill the process."""
        # The last page first: a writer enlarges the file before it publishes the page.
        needed = (opened.info()["last_pgno"] + 1) * opened.stat()["psize"]
        file = os.path.join(self.path, "data.mdb") if os.path.isdir(self.path) else self.path
        size = os.path.getsize(file)
        # Free pages at the end may never have been written. Only reading all values shows that.
        if size < needed and not _is_readable(self.path, self.options.get("subdir", True)):
            opened.close()
            raise StorageError(
                f"the LMDB database {self.path!r} is truncated: its file has {size} bytes, its "
                f"pages need {needed}; copy or download it again"
            )


_READ_ALL = """
import lmdb, sys
with lmdb.open(sys.argv[1], readonly=True, lock=False, subdir=sys.argv[2] == "True") as database:
    with database.begin(buffers=True) as transaction:
        for key, value in transaction.cursor():
            value[-1:].tobytes()
"""


def _is_readable(path: str, subdir: bool) -> bool:
    """Return whether another process can read all values of a database."""
    import subprocess  # slow to import

    command = [sys.executable, "-c", _READ_ALL, path, str(subdir)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


# Weak references: a database is closed together with the last backend that uses it.
_environments: WeakValueDictionary[str, _Environment] = WeakValueDictionary()


def _shared_environment(path: str, options: dict[str, Any]) -> _Environment:
    place = os.path.realpath(path)  # two paths of one database must find the same environment
    environment = _environments.get(place)
    if environment is None:
        environment = _environments.setdefault(place, _Environment(path, options))
    if environment.options["readonly"] and not options["readonly"]:
        raise StorageError(
            f"{path!r} is open for reading only in this process, so it cannot be opened for "
            "writing; build the backend with readonly=False first, which can also read"
        )
    return environment


def _before_fork() -> None:
    _forking.extend(_environments.values())
    for environment in _forking:
        environment.before_fork()


def _after_fork() -> None:
    while _forking:
        _forking.pop().after_fork()


# Strong references across the fork: a locked environment must exist until it is released.
_forking: list[_Environment] = []
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


def _key(filepath: StrPath) -> bytes:
    key = uri_of(filepath).encode(errors="surrogateescape")
    if not 0 < len(key) <= 511:
        raise ValueError(f"an LMDB key must have 1 to 511 bytes, got {len(key)}: {key[:40]!r}")
    return key
