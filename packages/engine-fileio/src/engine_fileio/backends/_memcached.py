"""Read and write values in memcached servers."""

import configparser
import contextlib
import json
import logging
import os
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine_fileio._errors import StorageError, StorageUnavailable
from engine_fileio._paths import StrPath, uri_of
from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._library import import_library
from engine_fileio.backends._per_process import PerProcess
from engine_utils import expand_home

_PORT = 11211
_LONGEST_KEY = 250  # bytes, a limit of the protocol
# Checked here, because pymemcache raises for an unknown option at the first request only. Its other
# options are excluded: they would change the stored values.
_OPTIONS = frozenset(
    {
        "connect_timeout",
        "dead_timeout",
        "key_prefix",
        "max_pool_size",
        "no_delay",
        "retry_attempts",
        "retry_timeout",
        "timeout",
    }
)

# Accepted, because configs of other programs have them.
_FAILOVER = frozenset({"dead_timeout", "retry_attempts", "retry_timeout"})
_logger = logging.getLogger("engine.fileio")


class MemcachedBackend(BaseStorageBackend):
    """Values in one or several memcached servers, through pymemcache.

    A hash assigns a server to each key. If that server cannot be reached, each operation raises
    `StorageUnavailable`. A server may drop any value at any time. It rejects values over its item
    size: 1 MB, or the value of its option ``-I``. Keys with spaces, non-ASCII characters or more
    than 250 bytes are encoded. memcached cannot list its keys, so operations that need a listing
    raise `OperationNotSupported`.

    Args:
        server_list_cfg: The servers as ``["host:port", ...]``, or a file with one per line. The
            default port is 11211.
        client_cfg: Options of pymemcache's client (``timeout``, ``connect_timeout``,
            ``no_delay``, ``key_prefix``, …) as a mapping, or a file of ``name = value`` lines.
        sys_path: A folder to append to ``sys.path``, for a pymemcache that is installed elsewhere.

    Example:
        >>> backend = MemcachedBackend(["127.0.0.1:11211"], {"timeout": 2})
        >>> backend.name, backend.allow_symlink
        ('MemcachedBackend', False)
    """

    is_cache = True

    def __init__(
        self,
        server_list_cfg: StrPath | Sequence[str],
        client_cfg: StrPath | Mapping[str, Any],
        sys_path: str | None = None,
    ) -> None:
        if sys_path is not None:
            sys.path.append(expand_home(sys_path))
        self._servers = _read_servers(server_list_cfg)
        self._options = _read_options(client_cfg)
        unused = sorted(_FAILOVER & self._options.keys())
        if unused:
            _logger.warning(
                "client_cfg options %s have no effect: keys of a failed server are not moved to "
                "another one",
                ", ".join(unused),
            )
            self._options = {k: v for k, v in self._options.items() if k not in _FAILOVER}
        self._prefix = str(self._options.pop("key_prefix", ""))
        self._clients = PerProcess(self._open_clients)

    def get(self, filepath: StrPath) -> bytes:
        """Return the value of a key.

        Raises:
            FileNotFoundError: No server has the key; it may have been dropped.
            StorageUnavailable: The server of the key cannot be reached.
        """
        value = self._value(filepath)
        if value is None:
            raise FileNotFoundError(f"memcached has no key {uri_of(filepath)!r}")
        return value

    def get_text(self, filepath: StrPath, encoding: str | None = None) -> str:
        """Return the value of a key as text, UTF-8 unless ``encoding`` is given."""
        return self.get(filepath).decode(encoding or "utf-8")

    def put(self, obj: bytes | memoryview, filepath: StrPath) -> None:
        """Write the value of a key.

        Raises:
            StorageError: The server rejects the value, mostly for its size. memcached then also
                drops the old value of the key.
            StorageUnavailable: The server of the key cannot be reached.
        """
        data, key = bytes(obj), self._key(filepath)
        with self._errors(filepath, f" of {len(data)} bytes"):
            # noreply=False: by default pymemcache does not wait for the answer, and loses a
            # rejected value.
            stored = self._clients.get().of(key).set(key, data, noreply=False)
        if stored is not True:
            raise StorageError(f"memcached has not stored the value of {uri_of(filepath)!r}")

    def exists(self, filepath: StrPath) -> bool:
        """Return whether there is a key of this name; the same as ``isfile``."""
        return self.isfile(filepath)

    def isfile(self, filepath: StrPath) -> bool:
        """Return whether there is a key of this name."""
        return self._value(filepath) is not None

    def remove(self, filepath: StrPath) -> None:
        """Delete a key; raises FileNotFoundError if there is none."""
        key = self._key(filepath)
        with self._errors(filepath):
            deleted = self._clients.get().of(key).delete(key, noreply=False)
        if not deleted:
            raise FileNotFoundError(f"memcached has no key {uri_of(filepath)!r}")

    def _value(self, filepath: StrPath) -> bytes | None:
        key = self._key(filepath)
        with self._errors(filepath):
            value: bytes | None = self._clients.get().of(key).get(key)
        return value

    @contextlib.contextmanager
    def _errors(self, filepath: StrPath, size: str = "") -> Iterator[None]:
        errors = import_library("memcached", "pymemcache.exceptions")
        try:
            yield
        # pymemcache raises ValueError and KeyError for an answer that is not of the protocol.
        except (OSError, ValueError, KeyError, errors.MemcacheError) as error:
            # For pymemcache a closed connection is a server error, but the value was not rejected.
            closed = isinstance(error, errors.MemcacheUnexpectedCloseError)
            if isinstance(error, errors.MemcacheServerError) and not closed:
                raise StorageError(
                    f"memcached rejects the value{size} of {uri_of(filepath)!r}: {error}; its item "
                    "size is 1 MB unless the server was started with a larger one, such as "
                    "'memcached -I 64m'. Store larger values in another backend"
                ) from error
            raise StorageUnavailable(
                f"memcached at {', '.join(self._servers)} cannot be used for {uri_of(filepath)!r}: "
                f"{str(error) or type(error).__name__}; check that the servers run"
            ) from error

    def _key(self, filepath: StrPath) -> bytes:
        """Return a key that memcached accepts: visible ASCII, 250 bytes at most."""
        name = uri_of(filepath)
        if not name:
            raise ValueError("a memcached key must not be empty; pass a name")
        # A percent sign is encoded too, so that two names never share a key. The prefix is encoded
        # and counted as part of the key.
        key = quote(self._prefix + name, safe="/:!#$&'()*+,;=?@[]~").encode()
        if len(key) > _LONGEST_KEY:
            import hashlib  # slow to import

            return b"sha256:" + hashlib.sha256(key).hexdigest().encode()
        return key

    def _open_clients(self) -> "_Servers":
        # By default pymemcache waits forever for a server that is down.
        options = {"connect_timeout": 5.0, "timeout": 10.0, **self._options}
        return _Servers([_address(server) for server in self._servers], options)


class _Servers:
    """The clients of several servers, of which a hash assigns one to each key."""

    # Not pymemcache's HashClient: while it counts a server as failed, it answers "no such key" and
    # "not stored", or asks another server. The hash is the same.

    def __init__(self, addresses: Sequence[tuple[str, int]], options: Mapping[str, Any]) -> None:
        client = import_library("memcached", "pymemcache.client.base").PooledClient
        hashed = import_library("memcached", "pymemcache.client.rendezvous").RendezvousHash
        self._clients = {
            f"{host}:{port}": client((host, port), **options) for host, port in addresses
        }
        self._hash = hashed(list(self._clients))
        weakref.finalize(self, _close_all, list(self._clients.values()))

    def of(self, key: bytes) -> Any:
        """Return the client for a key."""
        return self._clients[self._hash.get_node(key)]


def _close_all(clients: Sequence[Any]) -> None:
    for client in clients:
        client.close()


def _read_servers(source: StrPath | Sequence[str]) -> list[str]:
    if isinstance(source, str | os.PathLike):
        lines = Path(expand_home(source)).read_text(encoding="utf-8").splitlines()
    else:
        lines = list(source)
    # A line is "host:port" or "host port".
    bare = (line.partition("#")[0].strip() for line in lines)
    servers = [":".join(line.split()) for line in bare if line]
    if not servers:
        raise ValueError(
            f"server_list_cfg must name a server, got {source!r}; write host:port on each line"
        )
    for server in servers:
        _address(server)  # a wrong address raises here, not at the first request
    return servers


def _address(server: str) -> tuple[str, int]:
    """Return host and port of ``host``, ``host:port`` or ``[v6]:port``."""
    host, colon, port = server.rpartition(":")
    if not colon or server.endswith("]"):
        host, port = server, str(_PORT)
    if not port.isdigit():
        raise ValueError(f"a memcached server must be host:port, got {server!r}")
    return host.strip("[]"), int(port)


def _read_options(source: StrPath | Mapping[str, Any]) -> dict[str, Any]:
    options = (
        dict(source) if isinstance(source, Mapping) else _parse_options(Path(expand_home(source)))
    )
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise ValueError(f"client_cfg has unknown options {unknown}; it takes: {sorted(_OPTIONS)}")
    return options


def _parse_options(path: Path) -> dict[str, Any]:
    parser = configparser.ConfigParser(interpolation=None)
    text = path.read_text(encoding="utf-8")
    try:
        parser.read_string(text if text.lstrip().startswith("[") else f"[client]\n{text}")
    except configparser.Error as error:
        raise ValueError(f"{str(path)!r} must consist of 'name = value' lines") from error
    return {
        name: _value(value)
        for section in parser.sections()
        for name, value in parser[section].items()
    }


def _value(text: str) -> Any:
    """Return a number or a boolean for its text; other text is returned unchanged."""
    try:
        return json.loads(text.lower())
    except ValueError:
        return text
