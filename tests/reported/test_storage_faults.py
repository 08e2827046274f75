"""Storages that are down, damaged or not what they seem, and paths of homes and of Windows."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest

import engine_fileio as fileio
from engine_fileio import (
    HTTPBackend,
    LmdbBackend,
    LocalBackend,
    MemcachedBackend,
    S3Backend,
    StorageError,
    StorageUnavailable,
)
from engine_logging import MMLogger
from engine_utils import scandir
from engine_visualization import LocalVisBackend, Visualizer


class Answers(BaseHTTPRequestHandler):
    """Answers of a web server, by path: ``script[path]`` is status, headers and body."""

    script: dict[str, tuple[int, dict[str, str], bytes]]
    seen: list[dict[str, str]]

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        status, headers, body = self.script.get(self.path, self.script["*"])
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _answer  # noqa: N815 - http.server's


@contextlib.contextmanager
def web_server(host: str = "127.0.0.1") -> Iterator[tuple[str, type[Answers]]]:
    """Yield the address of a server, and its handler with what it has seen."""
    handler: type[Answers] = type("Handler", (Answers,), {"script": {}, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()


OWN = {"Authorization": "Bearer a", "Cookie": "id=b", "X-Token": "c"}


def test_headers_of_the_user_do_not_follow_a_redirect_to_another_host() -> None:
    with web_server() as (near, near_handler), web_server("localhost") as (far, far_handler):
        near_handler.script["*"] = (302, {"Location": f"{far}/file", "Content-Length": "0"}, b"")
        far_handler.script["*"] = (200, {"Content-Length": "2"}, b"ok")

        assert HTTPBackend(headers=OWN, retries=0).get(f"{near}/file") == b"ok"

    assert near_handler.seen[0].items() >= {k.lower(): v for k, v in OWN.items()}.items()
    assert not {name.lower() for name in OWN} & far_handler.seen[0].keys()


def test_headers_of_the_user_follow_a_redirect_within_a_host() -> None:
    with web_server() as (address, handler):
        handler.script["/old"] = (302, {"Location": "/new", "Content-Length": "0"}, b"")
        handler.script["*"] = (200, {"Content-Length": "2"}, b"ok")

        assert HTTPBackend(headers=OWN, retries=0).get(f"{address}/old") == b"ok"

    assert handler.seen[1].items() >= {k.lower(): v for k, v in OWN.items()}.items()


@pytest.mark.parametrize("length", ["-5", "five", "²"])
def test_answer_with_an_impossible_length_is_not_taken_for_a_file(length: str) -> None:
    with web_server() as (address, handler):
        handler.script["*"] = (200, {"Content-Length": length.encode().decode("latin-1")}, b"part")

        with pytest.raises(StorageUnavailable, match="Content-Length"):
            HTTPBackend(retries=0).get(f"{address}/file")


@pytest.mark.parametrize("status", [300, 302, 304])
def test_redirect_without_an_address_is_not_taken_for_a_file(status: int) -> None:
    with web_server() as (address, handler):
        handler.script["*"] = (status, {"Content-Length": "2"}, b"no")
        web = HTTPBackend(retries=0)

        for call in (web.get, web.exists):
            with pytest.raises(StorageError, match=f"the server answers {status}"):
                call(f"{address}/file")


@pytest.mark.parametrize("first", [0, 2])
def test_part_that_was_not_asked_for_is_not_taken_for_a_file(first: int) -> None:
    with web_server() as (address, handler):
        headers = {"Content-Length": "3", "Content-Range": f"bytes {first}-{first + 2}/9"}
        handler.script["*"] = (206, headers, b"abc")

        with pytest.raises(StorageUnavailable, match="the server sends"):
            HTTPBackend(retries=1, backoff=0.01).get(f"{address}/file")


@pytest.mark.parametrize(
    "use",
    [
        lambda s3: s3.get("s3://b/k"),
        lambda s3: s3.put(b"x", "s3://b/k"),
        lambda s3: s3.exists("s3://b/k"),
        lambda s3: list(s3.list_dir_or_file("s3://b/k")),
    ],
    ids=["get", "put", "exists", "list"],
)
def test_portal_of_a_network_is_not_taken_for_an_object_store(
    use: Callable[[S3Backend], Any],
) -> None:
    page = b"<html>please log in</html>"
    headers = {"Content-Type": "text/html", "Content-Length": str(len(page))}
    with web_server() as (address, handler):
        handler.script["*"] = (200, headers, page)
        backend = S3Backend(
            endpoint_url=address,
            region_name="eu-west-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            retries=0,
        )

        with pytest.raises(StorageUnavailable, match="web page"):
            use(backend)


def test_memcached_that_is_down_is_unavailable_until_it_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        backend = MemcachedBackend([f"127.0.0.1:{port}"], {})
        for _ in range(4):
            with pytest.raises(StorageUnavailable):
                backend.put(b"x", "k")
            with pytest.raises(StorageUnavailable):
                backend.get("k")
            with pytest.raises(StorageUnavailable):
                backend.exists("k")

    with memcached_server(port):
        backend.put(b"x", "k")
        assert backend.get("k") == b"x"


class Memcached(socketserver.StreamRequestHandler):
    """The commands set and get of memcached, and a key that it does not store."""

    def handle(self) -> None:
        values: dict[bytes, bytes] = {}
        for line in self.rfile:
            command, key, *rest = line.split()
            if command == b"set":
                values[key] = self.rfile.read(int(rest[2]) + 2)[:-2]
                self.wfile.write(b"NOT_STORED\r\n" if key == b"full" else b"STORED\r\n")
            elif command == b"get":
                value = values.get(key)
                if value is not None:
                    self.wfile.write(b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(value), value))
                self.wfile.write(b"END\r\n")


@contextlib.contextmanager
def memcached_server(port: int = 0) -> Iterator[int]:
    """Yield the port of a server of the protocol."""

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with Server(("127.0.0.1", port), Memcached) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_memcached_that_does_not_store_a_value_raises() -> None:
    with memcached_server() as port:
        backend = MemcachedBackend([f"127.0.0.1:{port}"], {})

        with pytest.raises(StorageError, match="has not stored"):
            backend.put(b"x", "full")


def test_answer_that_is_not_of_memcached_is_unavailable() -> None:
    class Garbage(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"VALUE other 0 3\r\nabc\r\nEND\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Garbage) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        backend = MemcachedBackend([f"127.0.0.1:{server.server_address[1]}"], {})

        with pytest.raises(StorageUnavailable, match="cannot be used for 'k'"):
            backend.get("k")
        server.shutdown()
    with pytest.raises(ValueError, match="a memcached key must not be empty"):
        backend.get("")


def test_keys_of_a_dead_memcached_server_are_not_moved_to_another() -> None:
    with socket.socket() as taken, memcached_server() as alive:
        taken.bind(("127.0.0.1", 0))
        dead = taken.getsockname()[1]
        backend = MemcachedBackend([f"127.0.0.1:{port}" for port in (dead, alive)], {})

        def works(name: str) -> bool:
            with contextlib.suppress(StorageUnavailable):
                backend.put(b"x", name)
                return True
            return False

        first = [works(f"k{number}") for number in range(20)]

        assert {True, False} == set(first)
        assert first == [works(f"k{number}") for number in range(20)]


def test_truncated_lmdb_raises_instead_of_killing_the_process(tmp_path: Path) -> None:
    writer = LmdbBackend(tmp_path / "db", readonly=False)
    for number in range(200):
        writer.put(bytes(1000), f"k{number}")
    del writer
    file = tmp_path / "db/data.mdb"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(StorageError, match="is truncated: its file has"):
        LmdbBackend(tmp_path / "db").get("k7")

    file.write_bytes(whole)
    assert LmdbBackend(tmp_path / "db").get("k7") == bytes(1000)


def test_lmdb_whose_pages_were_not_copied_is_damaged(tmp_path: Path) -> None:
    writer = LmdbBackend(tmp_path / "db", readonly=False)
    for number in range(200):
        writer.put(bytes(1000), f"k{number}")
    del writer
    file = tmp_path / "db/data.mdb"
    file.write_bytes(file.read_bytes()[:8192].ljust(file.stat().st_size, b"\0"))  # as by rsync

    with pytest.raises(StorageError, match=r"is damaged: .*; copy or download it again"):
        LmdbBackend(tmp_path / "db").get("k7")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, apart from the working folder."""
    (tmp_path / "home").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "home"


@pytest.mark.parametrize("kind", [str, Path])
def test_tilde_is_the_home_folder_in_all_functions(kind: Callable[[str], Any], home: Path) -> None:
    fileio.put_text("a", kind("~/new/a.txt"))
    fileio.dump({"b": 1}, kind("~/new/b.json.gz"))
    fileio.copyfile(kind("~/new/a.txt"), kind("~/new/c.txt"))
    fileio.copytree(kind("~/new"), kind("~/old"))
    with fileio.atomic_write(kind("~/new/d.bin")) as file:
        file.write(b"d")

    assert {path.name for path in (home / "new").iterdir()} == {
        "a.txt",
        "b.json.gz",
        "c.txt",
        "d.bin",
    }
    assert fileio.get_text(kind("~/new/c.txt")) == "a"
    assert fileio.load(kind("~/new/b.json.gz")) == {"b": 1}
    assert fileio.exists(kind("~/old"))
    assert fileio.isfile(kind("~/old/a.txt"))
    assert sorted(fileio.list_dir_or_file(kind("~/old"))) == ["a.txt", "b.json.gz", "c.txt"]
    assert sorted(scandir(kind("~/old"))) == ["a.txt", "b.json.gz", "c.txt"]
    assert fileio.join_path(kind("~/old"), "a.txt") == str(home / "old/a.txt")
    fileio.remove(kind("~/old/a.txt"))
    fileio.rmtree(kind("~/old"))
    assert not list(Path.cwd().iterdir())


def test_tilde_is_the_home_folder_of_the_local_side_of_a_transfer(home: Path) -> None:
    memory = fileio.get_file_backend("memory://tilde")
    (home / "tree").mkdir()
    (home / "tree/a").write_text("a")

    memory.copytree_from_local("~/tree", "memory://tilde")
    memory.copyfile_from_local("~/tree/a", "memory://tilde/b")
    memory.copytree_to_local("memory://tilde", "~/back")
    memory.copyfile_to_local("memory://tilde/b", Path("~/back/c"))

    assert {path.name for path in (home / "back").iterdir()} == {"a", "b", "c"}


def test_tilde_is_the_home_folder_of_logs_and_trackers(home: Path) -> None:
    visualizer = Visualizer("home", vis_backends=[{"type": "LocalVisBackend"}], save_dir="~/a")
    backend = LocalVisBackend("~/b")
    for target in (visualizer, backend):
        target.add_scalar("loss", 1.0)
        target.close()
    logger = MMLogger("home", log_file="~/c/run.log")
    (file,) = logger.log_files
    logger.close()

    assert (home / "a/vis_data/scalars.json").is_file()
    assert (home / "b/scalars.json").is_file()
    assert (home / "c") in file.parents


def test_file_whose_name_begins_with_a_tilde_is_not_a_home(home: Path) -> None:
    LocalBackend().put(b"x", Path("~backup of nobody"))

    assert (home.parent / "elsewhere/~backup of nobody").read_bytes() == b"x"


def test_path_of_windows_becomes_an_address_with_slashes() -> None:
    parts = (PureWindowsPath("exp\\one"), "log.json")

    assert S3Backend().join_path("s3://b/runs", *parts) == "s3://b/runs/exp/one/log.json"
    assert S3Backend().join_path(PureWindowsPath("s3:\\b\\runs"), *parts).endswith("/one/log.json")
