"""Real storage servers on loopback, and the backends for the contract tests."""

import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest

from engine_fileio import (
    BaseStorageBackend,
    FsspecBackend,
    HTTPBackend,
    LmdbBackend,
    LocalBackend,
    MemcachedBackend,
    PetrelBackend,
    S3Backend,
    get_file_backend,
)
from engine_fileio.backends import _registry, _table
from engine_fileio.backends._row import BackendRow

HERE = Path(__file__).parent
_numbers = itertools.count()


class FaultyServer:
    """An HTTP server with ranges that fails on request.

    ``faults[name]`` is a list of faults, one used up by each GET of that name: a number is a
    status, ``"cut"`` closes the connection half-way, ``"stall"`` goes silent half-way, and
    ``"whole"`` ignores the range that was asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[int | str]] = defaultdict(list)
        self.headers: dict[str, dict[str, str]] = defaultdict(dict)
        self.bodies: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.etags = True
        self.released = threading.Event()
        server = self

        class Handler(_Handler):
            faulty = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://{self.address}/{quote(name)}"

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    faulty: FaultyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_POST(self) -> None:
        self.do_PUT()

    def do_PUT(self) -> None:
        name = unquote(urlsplit(self.path).path).lstrip("/")
        self.faulty.requests.append((self.command, self.path, dict(self.headers.items())))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        faults = self.faulty.faults[name]
        if faults:
            self._reply(faults.pop(0), {}, self.faulty.bodies.get(name, b""))
        else:
            self._reply(200, {}, b"<CopyObjectResult/>")

    def _answer(self, *, with_body: bool) -> None:
        server = self.faulty
        name = unquote(urlsplit(self.path).path).lstrip("/")
        server.requests.append((self.command, self.path, dict(self.headers.items())))
        faults = server.faults[name]
        fault = faults.pop(0) if faults and with_body else None
        if isinstance(fault, int) or name not in server.files:
            self._reply(fault if isinstance(fault, int) else 404, server.headers[name])
            return
        data = server.files[name]
        start, end = 0, len(data)
        asked = self.headers.get("Range", "")
        tag = f'"{hash(data):x}"' if server.etags else ""
        if asked and fault != "whole" and self.headers.get("If-Range", tag) == tag:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1, len(data)) if last else len(data)
            if start >= len(data):
                self._reply(416, {})
                return
        partial = (start, end) != (0, len(data))
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        if tag:
            self.send_header("ETag", tag)
        for key, value in server.headers[name].items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if with_body:
            self._send(data[start:end], fault)

    def _send(self, data: bytes, fault: int | str | None) -> None:
        if fault not in ("cut", "stall"):
            self.wfile.write(data)
            return
        self.wfile.write(data[: len(data) // 2])
        self.wfile.flush()
        if fault == "stall":
            self.faulty.released.wait(10)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _reply(self, status: int | str, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(int(status))
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def http_server() -> Iterator[FaultyServer]:
    server = FaultyServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def memcached_server() -> Iterator[str]:
    """The address of Debian's memcached; without the program tests skip, and fail in CI."""
    program = shutil.which("memcached")
    if program is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("the program memcached is missing; run: apt-get install memcached")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)  # the server runs as nobody and writes its port file there
        file = Path(folder) / "port"
        process = subprocess.Popen(
            [program, "-u", "nobody", "-l", "127.0.0.1", "-p", "-1", "-m", "16", "-t", "1"],
            env={**os.environ, "MEMCACHED_PORT_FILENAME": str(file)},
        )
        try:
            yield f"127.0.0.1:{_port_in(file, process)}"
        finally:
            process.kill()
            process.wait(timeout=60)


def _port_in(file: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 60
    while not file.exists():  # it is renamed to this name when it is complete
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"memcached did not start; it ended with {process.poll()}")
        time.sleep(0.02)
    return int(file.read_text().split("TCP INET:")[1].split()[0])


@dataclass
class Storage:
    """One backend with a place of its own in it.

    Attributes:
        backend: The backend.
        root: The folder that ``uri`` joins names to.
        can: What it can do: ``put``, ``list``, ``remove``, ``sign`` (URLs), ``resolve`` (dots in
            paths), and ``share`` (its files are local files).
        seed: Store a file, from outside if the backend cannot.
        uri: The path of a name.
    """

    backend: BaseStorageBackend
    root: str
    can: frozenset[str] = frozenset()
    seed: Callable[[str, bytes], None] = field(init=False)
    uri: Callable[[str], str] = field(init=False)

    def __post_init__(self) -> None:
        self.seed = lambda name, data: self.backend.put(data, self.uri(name))
        self.uri = lambda name: self.backend.join_path(self.root, name)


Maker = Callable[[pytest.FixtureRequest], Storage]

_ALL = frozenset({"put", "list", "remove", "resolve"})
_STORAGES: dict[str, tuple[Maker, frozenset[str]]] = {}


def _storage(name: str, can: frozenset[str] = _ALL) -> Callable[[Maker], Maker]:
    """Add a backend to the contract suite, under the name of its row and perhaps a suffix."""

    def add(make: Maker) -> Maker:
        _STORAGES[name] = (make, can)
        return make

    return add


def _make(request: pytest.FixtureRequest) -> Storage:
    make, can = _STORAGES[request.param]
    storage = make(request)
    storage.can = can
    return storage


@_storage("local", _ALL | {"share"})
def _local(request: pytest.FixtureRequest) -> Storage:
    return Storage(LocalBackend(), str(request.getfixturevalue("tmp_path") / "root"))


@_storage("s3", _ALL | {"sign"})
def _s3(request: pytest.FixtureRequest) -> Storage:
    options = request.getfixturevalue("s3_options")
    return Storage(S3Backend(**options), f"s3://{request.getfixturevalue('bucket')}/root")


@_storage("petrel", _ALL | {"sign"})
def _petrel(request: pytest.FixtureRequest) -> Storage:
    options = request.getfixturevalue("s3_options")
    conf = request.getfixturevalue("tmp_path") / "petreloss.conf"
    conf.write_text(
        "[DEFAULT]\ndefault_cluster = other\n[other]\n[main]\n"
        f"access_key = {options['aws_access_key_id']}\n"
        f"secret_key = {options['aws_secret_access_key']}\n"
        f"host_base = {options['endpoint_url'].removeprefix('http://')}\n"
        "region = us-east-1\n"
    )
    root = f"main:petrel://{request.getfixturevalue('bucket')}/root"
    return Storage(PetrelBackend(conf_path=conf), root)


@_storage("lmdb", _ALL - {"resolve"})  # its keys are plain names
def _lmdb(request: pytest.FixtureRequest) -> Storage:
    folder = request.getfixturevalue("tmp_path") / "lmdb"
    return Storage(LmdbBackend(folder, readonly=False, map_size=1 << 28), "root")


@_storage("memcached", frozenset({"put", "remove"}))
def _memcached(request: pytest.FixtureRequest) -> Storage:
    server = request.getfixturevalue("memcached_server")
    return Storage(MemcachedBackend([server], {"timeout": 60}), f"root-{next(_numbers)}")


@_storage("fsspec-memory")
def _fsspec(request: pytest.FixtureRequest) -> Storage:
    return Storage(FsspecBackend(), f"memory://root-{next(_numbers)}")


@_storage("fsspec-file")
def _fsspec_file(request: pytest.FixtureRequest) -> Storage:
    folder = request.getfixturevalue("tmp_path") / "root"
    return Storage(FsspecBackend(protocol="file"), str(folder))


@_storage("http", frozenset())
def _http(request: pytest.FixtureRequest) -> Storage:
    server = request.getfixturevalue("http_server")
    storage = Storage(HTTPBackend(timeout=60, retries=0), "")
    storage.seed = server.files.__setitem__
    storage.uri = server.url
    return storage


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackendRow:
    """A new backend, added like ours: one file and one row."""
    (tmp_path / "source").mkdir()
    shutil.copy(HERE / "toy_backend.py", tmp_path / "source")
    monkeypatch.syspath_prepend(tmp_path / "source")
    monkeypatch.delitem(sys.modules, "toy_backend", raising=False)
    row = BackendRow("toy", "toy_backend:ToyBackend", ("toy",))
    monkeypatch.setattr(_registry, "ROWS", (*_table.ROWS, row))
    _registry.add_row(row)
    return row


@pytest.fixture(autouse=True)
def _restore_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_registry, "_by_name", dict(_registry._by_name))
    monkeypatch.setattr(_registry, "_by_prefix", dict(_registry._by_prefix))


@_storage("toy")
def _toy(request: pytest.FixtureRequest) -> Storage:
    request.getfixturevalue("toy")
    return Storage(get_file_backend("toy://any"), f"toy://root-{next(_numbers)}")


def _able(*needs: str) -> list[str]:
    return [name for name, (_, can) in _STORAGES.items() if can.issuperset(needs)]


@pytest.fixture(params=_able())
def any_storage(request: pytest.FixtureRequest) -> Storage:
    """Each backend."""
    return _make(request)


@pytest.fixture(params=_able("put"))
def writable(request: pytest.FixtureRequest) -> Storage:
    """Each backend that writes."""
    return _make(request)


@pytest.fixture(params=_able("put", "list"))
def listing(request: pytest.FixtureRequest) -> Storage:
    """Each backend that writes and lists folders."""
    return _make(request)


@pytest.fixture
def under_contract() -> set[str]:
    """The names of the rows whose backends the contract suite runs."""
    return {name.partition("-")[0] for name in _STORAGES}
