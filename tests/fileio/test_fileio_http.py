"""HTTP: streaming, retries, resuming, and errors of a failing server."""

from __future__ import annotations

import gzip
import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine_fileio import HTTPBackend, StorageError, StorageUnavailable, get_text, load
from engine_fileio._paths import shown

if TYPE_CHECKING:
    from tests.fileio.conftest import FaultyServer

DATA = bytes(range(256)) * 4000


@pytest.fixture
def backend() -> HTTPBackend:
    return HTTPBackend(timeout=60, retries=2, backoff=0.001)


def ranges(server: FaultyServer) -> list[str | None]:
    return [headers.get("Range") for _, _, headers in server.requests]


def test_cut_download_resumes_where_it_stopped(
    http_server: FaultyServer, backend: HTTPBackend
) -> None:
    http_server.files["f"] = DATA
    http_server.faults["f"] = ["cut", "cut"]

    assert backend.get(http_server.url("f")) == DATA
    first, second, third = ranges(http_server)
    assert first is None
    assert second is not None
    assert third is not None
    assert int(second[6:-1]) < int(third[6:-1])


def test_stalled_download_resumes_after_the_timeout(http_server: FaultyServer) -> None:
    http_server.files["f"] = DATA
    http_server.faults["f"] = ["stall"]

    assert HTTPBackend(timeout=1, retries=30, backoff=0.001).get(http_server.url("f")) == DATA


def test_download_without_a_validator_starts_again(
    http_server: FaultyServer, backend: HTTPBackend
) -> None:
    http_server.etags = False
    http_server.files["f"] = DATA
    http_server.faults["f"] = ["cut"]

    assert backend.get(http_server.url("f")) == DATA
    assert ranges(http_server) == [None, None]


@pytest.mark.parametrize("second", ["whole", 416], ids=["range ignored", "range rejected"])
def test_download_without_ranges_starts_again(
    http_server: FaultyServer, backend: HTTPBackend, second: int | str
) -> None:
    http_server.files["f"] = DATA
    http_server.faults["f"] = ["cut", second]

    assert backend.get(http_server.url("f")) == DATA


def test_download_of_a_changed_file_starts_again(
    http_server: FaultyServer, backend: HTTPBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    http_server.files["f"] = b"a" * 1_000_000
    http_server.faults["f"] = ["cut"]

    def change(_: float) -> None:
        http_server.files["f"] = b"b" * 1_000_000

    monkeypatch.setattr("time.sleep", change)

    assert backend.get(http_server.url("f")) == b"b" * 1_000_000


def test_download_is_retried_while_it_makes_progress(http_server: FaultyServer) -> None:
    http_server.files["f"] = DATA
    http_server.faults["f"] = ["cut"] * 3

    assert HTTPBackend(retries=1, backoff=0).get(http_server.url("f")) == DATA


def test_download_without_progress_raises_after_the_retries(
    http_server: FaultyServer, backend: HTTPBackend
) -> None:
    http_server.etags = False
    http_server.files["f"] = DATA
    http_server.faults["f"] = ["cut"] * 50

    with pytest.raises(StorageUnavailable, match="gave up"):
        backend.get(http_server.url("f"))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_temporary_failures_are_retried(
    http_server: FaultyServer,
    backend: HTTPBackend,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    http_server.files["f"] = b"x"
    http_server.faults["f"] = [status, status]

    with caplog.at_level(logging.WARNING, "engine.fileio"):
        assert backend.get(http_server.url("f")) == b"x"

    assert [record.name for record in caplog.records] == ["engine.fileio"] * 2
    assert f"status {status}; retry 2 of 2" in caplog.text


def test_pauses_double_and_respect_retry_after(
    http_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    http_server.faults["f"] = [503] * 4
    http_server.files["f"] = b"x"
    http_server.faults["g"] = [429]
    http_server.files["g"] = b"x"
    http_server.headers["g"]["Retry-After"] = "7"
    backend = HTTPBackend(retries=4, backoff=1.0)

    backend.get(http_server.url("f"))
    backend.get(http_server.url("g"))

    assert pauses == [1.0, 2.0, 4.0, 8.0, 7.0]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, StorageError),
        (401, PermissionError),
        (403, PermissionError),
        (404, FileNotFoundError),
        (410, FileNotFoundError),
    ],
)
def test_permanent_failures_are_not_retried(
    http_server: FaultyServer, backend: HTTPBackend, status: int, error: type[Exception]
) -> None:
    http_server.files["f"] = b"x"
    http_server.faults["f"] = [status]

    with pytest.raises(error, match=str(status)):
        backend.get(http_server.url("f"))

    assert len(http_server.requests) == 1


def test_unreachable_server_raises_storage_unavailable(
    backend: HTTPBackend, unused_port: int
) -> None:
    with pytest.raises(StorageUnavailable, match="3 attempts"):
        backend.get(f"http://127.0.0.1:{unused_port}/f")


@pytest.mark.parametrize("url", ["http://", "https:///x"])
def test_malformed_url_raises(backend: HTTPBackend, url: str) -> None:
    with pytest.raises(ValueError, match="not a URL"):
        backend.get(url)


def test_isfile_falls_back_to_get_without_head(
    http_server: FaultyServer, backend: HTTPBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    http_server.files["f"] = b"x"
    http_server.files["empty"] = b""
    send = HTTPBackend._request

    def without_head(self: HTTPBackend, method: str, url: str, **headers: str) -> object:
        return send(self, "DELETE" if method == "HEAD" else method, url, **headers)

    # The test server answers 501 to a method that it does not define.
    monkeypatch.setattr(HTTPBackend, "_request", without_head)

    assert backend.isfile(http_server.url("f"))
    assert backend.isfile(http_server.url("empty"))
    assert not backend.isfile(http_server.url("absent"))


def test_redirects_are_followed(http_server: FaultyServer, backend: HTTPBackend) -> None:
    http_server.files["f"] = b"x"
    http_server.faults["old"] = [302]
    http_server.headers["old"]["Location"] = http_server.url("f")

    assert backend.get(http_server.url("old")) == b"x"


def test_endless_redirects_raise(http_server: FaultyServer, backend: HTTPBackend) -> None:
    http_server.faults["f"] = [302] * 100
    http_server.headers["f"]["Location"] = http_server.url("f")

    with pytest.raises(StorageError, match="without end"):
        backend.get(http_server.url("f"))


def test_headers_are_sent_with_every_request(http_server: FaultyServer) -> None:
    http_server.files["f"] = b"x"

    HTTPBackend(headers={"Authorization": "Bearer abc"}).get(http_server.url("f"))

    assert http_server.requests[0][2]["Authorization"] == "Bearer abc"


def test_compressed_file_with_content_encoding_stays_compressed(
    http_server: FaultyServer,
) -> None:
    http_server.files["a.json.gz"] = gzip.compress(b'{"a": 1}')
    http_server.files["b.txt"] = gzip.compress(b"unpacked")
    for name in http_server.files:
        http_server.headers[name]["Content-Encoding"] = "gzip"

    assert load(http_server.url("a.json.gz")) == {"a": 1}
    assert get_text(http_server.url("b.txt")) == "unpacked"


def test_file_is_loaded_from_a_url_with_a_query(http_server: FaultyServer) -> None:
    http_server.files["a.json"] = b'{"a": 1}'

    assert load(f"{http_server.url('a.json')}?version=3#top") == {"a": 1}


@pytest.mark.parametrize("fault", [400, 403, 404, 503, "cut"])
def test_credentials_of_a_url_are_not_shown(
    http_server: FaultyServer, fault: int | str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    http_server.etags = False
    http_server.files["f"] = DATA
    http_server.faults["f"] = [fault] * 9
    backend = HTTPBackend(retries=1, backoff=0, headers={"Authorization": "Bearer s3cret"})
    url = http_server.url("f").replace("http://", "http://user:s3cret@") + "?signature=s3cret"

    with caplog.at_level(logging.DEBUG, "engine"), pytest.raises(OSError, match="/f") as caught:
        backend.copyfile_to_local(url, tmp_path / "f")

    said = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(backend)
    ours = "".join(record.getMessage() for record in caplog.records if "engine" in record.name)
    assert "s3cret" not in said.replace(repr(url), "")
    assert "s3cret" not in ours
    assert "user" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://u:p@host/a%20b?token=x", "http://host/a%20b?..."),
        ("ftp://u:p@host/a?b", "ftp://host/a?b"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("/plain/p@th", "/plain/p@th"),
    ],
)
def test_shown_removes_secrets(uri: str, expected: str) -> None:
    assert shown(uri) == expected
