"""Read and write configs in a storage of engine-fileio."""

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine_config import Config, ConfigError

Write = Callable[[str, str], Path]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve the test's folder over HTTP on the loopback interface."""
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_config_and_bases_are_read_over_http(write: Write, address: str) -> None:
    write("base.py", "a = dict(b=1, c=2)\n")
    write("more/middle.json", '{"_base_": "../base.py", "d": "{{fileBasename}}"}')
    write("top.py", "_base_ = ['./more/middle.json']\na = dict(b=3)\nf = '{{fileDirname}}'\n")
    cfg = Config.fromfile(f"{address}/top.py")
    assert cfg.to_dict() == {"a": {"b": 3, "c": 2}, "d": "middle.json", "f": address}
    assert str(cfg.origin("a.c")) == f"{address}/base.py:1"


def test_missing_remote_config_raises(address: str) -> None:
    with pytest.raises(ConfigError, match=r"none\.py"):
        Config.fromfile(f"{address}/none.py")


def test_local_config_may_have_a_remote_base(write: Write, address: str) -> None:
    write("base.py", "a = 1\n")
    top = write("top.py", f"_base_ = '{address}/base.py'\n")
    assert Config.fromfile(top).a == 1


def test_config_is_dumped_to_any_storage() -> None:
    cfg = Config({"a": {"b": (1, 2)}})
    cfg.dump("memory://engine_config/dump.py")
    assert Config.fromfile("memory://engine_config/dump.py") == cfg


def test_dump_creates_folders_and_replaces_files(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "dump.py"
    Config({"a": 1}).dump(path)
    Config({"a": 2}).dump(path)
    assert path.read_text() == "a = 2\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["dump.py"]
