"""Files and addresses that a config may not wait for, and what ``execute=False`` does not read."""

import http.server
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_config import Config, ConfigParseError, ConfigReadError


class _Server(http.server.BaseHTTPRequestHandler):
    """Answer ``/slow.py`` with one byte at a time, and any other path at once."""

    def do_GET(self) -> None:
        self.server.seen.append(self.path)  # type: ignore[attr-defined]  # set by the fixture
        text = b"a = 1\n" * 200
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if "slow" not in self.path:
            self.wfile.write(text)
            return
        for index in range(len(text)):
            time.sleep(0.05)
            try:
                self.wfile.write(text[index : index + 1])
            except OSError:
                return
            if self.server.stopped.is_set():  # type: ignore[attr-defined]  # set by the fixture
                return

    do_HEAD = do_GET  # noqa: N815  # the name is that of http.server

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        server.seen, server.stopped = [], threading.Event()  # type: ignore[attr-defined]  # for _Server
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.stopped.set()  # type: ignore[attr-defined]  # for _Server
        server.shutdown()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
@pytest.mark.parametrize("execute", [True, False])
def test_base_that_is_a_pipe_or_socket_raises_instead_of_waiting(
    tmp_path: Path, execute: bool
) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    top = tmp_path / "top.py"
    top.write_text("a = 1\n_base_ = 'pipe.py'\n")
    with pytest.raises(ConfigReadError, match=r"top\.py:2: _base_: .*regular file, got a named"):
        Config.fromfile(top, execute=execute)

    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(tmp_path / "s.yaml"))
        with pytest.raises(ConfigReadError, match="regular file, got a socket"):
            Config.fromfile(tmp_path / "s.yaml", execute=execute)


def test_slow_address_raises_after_the_timeout(
    tmp_path: Path, server: http.server.ThreadingHTTPServer
) -> None:
    top = tmp_path / "top.py"
    top.write_text(f"_base_ = 'http://127.0.0.1:{server.server_port}/slow.py'\n")
    start = time.monotonic()

    with pytest.raises(ConfigReadError, match=r"top\.py:1: .*no complete answer within 0\.5 s"):
        Config.fromfile(top, timeout=0.5)

    assert time.monotonic() - start < 5


def test_address_as_base_is_read_without_execution_only_if_allowed(
    tmp_path: Path, server: http.server.ThreadingHTTPServer
) -> None:
    address = f"http://127.0.0.1:{server.server_port}/fast.py"
    top = tmp_path / "top.py"
    top.write_text(f"b = 2\n_base_ = ['{address}']\n")

    with pytest.raises(ConfigReadError, match=r"top\.py:2: _base_: .*read_remote_bases=True"):
        Config.fromfile(top, execute=False)
    with pytest.raises(ConfigReadError, match="read_remote_bases=True"):
        Config.fromstring(top.read_text(), ".py", execute=False)
    with pytest.raises(ConfigReadError, match="read_remote_bases=True"):
        Config.fromfile(top, read_remote_bases=False)
    assert server.seen == []  # type: ignore[attr-defined]  # set by the fixture

    assert Config.fromfile(top, execute=False, read_remote_bases=True).a == 1
    assert Config.fromfile(address, execute=False).a == 1  # the caller names this address
    assert Config.fromfile(top).a == 1


@pytest.mark.parametrize("suffix", [".py", ".json", ".yaml"])
def test_environment_is_read_without_execution_only_if_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv("CONF_SECRET", "hidden")
    texts = {
        ".py": "key = '{{$CONF_SECRET:none}}'\n",
        ".json": '{"key": "{{$CONF_SECRET:none}}"}',
        ".yaml": "key: '{{$CONF_SECRET:none}}'\n",
    }
    path = tmp_path / f"c{suffix}"
    path.write_text(texts[suffix])

    assert Config.fromfile(path).key == "hidden"
    closed = Config.fromfile(path, execute=False)
    assert closed.key == "{{$CONF_SECRET:none}}"
    opened = Config.fromfile(path, execute=False, use_environment_variables=True)
    assert opened.key == "hidden"
    assert Config.fromfile(path, use_environment_variables=False) == closed
    text = texts[suffix]
    assert Config.fromstring(text, suffix, execute=False) == closed
    allowed = Config.fromstring(text, suffix, execute=False, use_environment_variables=True)
    assert allowed == opened


def test_environment_variable_outside_of_quotes_raises_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "c.py"
    path.write_text("a = 1\nlr = {{$CONF_LR:0.1}}\n")

    with pytest.raises(ConfigParseError, match=r"c\.py:2: .*use_environment_variables=True"):
        Config.fromfile(path, execute=False)
    assert Config.fromfile(path).lr == 0.1


def test_address_with_an_ipv6_host_is_not_a_package() -> None:
    with pytest.raises(ConfigReadError) as caught:
        Config.fromfile("http://[::1]:9/c.py", timeout=20)

    assert "package" not in str(caught.value)
