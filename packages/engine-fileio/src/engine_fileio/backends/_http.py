"""Files from web servers."""

import io
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from engine_fileio._errors import StorageError, StorageUnavailable
from engine_fileio._paths import StrPath, base_name, shown, uri_of
from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._per_process import PerProcess
from engine_fileio.backends._table import import_library

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

_CHUNK = 1 << 16  # what a lost connection loses at most
_LONGEST_PAUSE = 60.0
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_PACKED = (".gz", ".tgz", ".zst", ".bz2", ".xz")
_logger = logging.getLogger("engine.fileio")


class HTTPBackend(BaseStorageBackend):
    """Files of HTTP and HTTPS servers, read-only, through requests.

    Downloads stream. One that fails (connection lost, stalled or cut off, statuses 408, 425, 429
    and 500 to 504) is tried again after a growing pause, and goes on where it stopped if the
    server can tell by ETag or date that the file is still the same.

    Args:
        timeout: Seconds to wait for a connection, and for each next piece of data.
        retries: How many times in a row to try again without having received anything new.
        backoff: Seconds before the first retry; doubled for each next one, a minute at most.
        headers: Sent with every request, such as ``{"Authorization": "Bearer ..."}``.

    Example:
        >>> backend = HTTPBackend(timeout=5, retries=0)
        >>> backend.join_path("https://example.org/models/", "resnet.json")
        'https://example.org/models/resnet.json'
    """

    def __init__(
        self,
        *,
        timeout: float = 30.0,
        retries: int = 5,
        backoff: float = 0.5,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._timeout = timeout
        self._retries = retries
        self._backoff = backoff
        self._headers = dict(headers or {})
        self._sessions = PerProcess(self._open_session)

    def get(self, filepath: StrPath) -> bytes:
        """Return the content of a file.

        Raises:
            FileNotFoundError: The server answers 404 or 410.
            PermissionError: It answers 401 or 403.
            StorageUnavailable: It kept failing until the last retry.
            StorageError: It answers with another status that means an error.
        """
        file = io.BytesIO()
        self._download(filepath, file)
        return file.getvalue()

    def get_text(self, filepath: StrPath, encoding: str = "utf-8") -> str:
        """Return the content of a file as text."""
        return self.get(filepath).decode(encoding)

    def exists(self, filepath: StrPath) -> bool:
        """Tell whether the server has a file of this name; the same as ``isfile``."""
        return self.isfile(filepath)

    def isfile(self, filepath: StrPath) -> bool:
        """Tell whether the server has a file of this name, by HEAD where the server knows it."""
        url = uri_of(filepath)
        return self._retrying(url, lambda: self._ask(url), lambda: 0)

    def _download(self, filepath: StrPath, file: BinaryIO) -> None:
        url = uri_of(filepath)
        part = _Part(file, start=file.tell())
        self._retrying(url, lambda: self._fetch(url, part), lambda: part.furthest)

    def _ask(self, url: str) -> bool:
        with _translated(url), self._request("HEAD", url) as response:
            status = response.status_code
        if status in (405, 501):
            with _translated(url), self._request("GET", url, Range="bytes=0-0") as response:
                status = response.status_code
        if status in (404, 410):
            return False
        if status != 416:  # what a server says of the first byte of an empty file
            _check(response, url)
        return True

    def _fetch(self, url: str, part: "_Part") -> None:
        """Receive the file, or what is missing of it, into ``part``."""
        headers = {"Accept-Encoding": "identity"}
        if part.received and part.validator:
            headers |= {"Range": f"bytes={part.received}-", "If-Range": part.validator}
        with _translated(url), self._request("GET", url, **headers) as response:
            if response.status_code == 416:
                part.restart(None)
                raise _Transient("the server refused to go on where it stopped")
            _check(response, url)
            if response.status_code != 206 or not _continues(response, part.received):
                part.restart(_validator(response))
            if base_name(url).endswith(_PACKED):
                # such a server means the kind of file and not the transfer; keep the file packed
                response.raw.headers.pop("Content-Encoding", None)
            expected = _length(response)
            before = part.received
            for chunk in response.iter_content(_CHUNK):
                part.add(chunk)
        if expected is not None and part.received - before < expected:
            raise _Transient("the connection closed before the end")

    def _request(self, method: str, url: str, **headers: str) -> "requests.Response":
        return self._sessions.get().request(
            method, url, headers=headers, stream=True, timeout=self._timeout, allow_redirects=True
        )

    def _retrying(self, url: str, attempt: Callable[[], T], reached: Callable[[], int]) -> T:
        """Return what ``attempt`` returns, trying again while it fails in passing.

        ``reached`` says how far the work has come; failures in a row count anew when it grows.
        """
        failures, furthest = 0, reached()
        while True:
            try:
                return attempt()
            except _Transient as error:
                reason, asked = error.reason, error.pause
            failures = 1 if reached() > furthest else failures + 1
            furthest = max(furthest, reached())
            if failures > self._retries:
                break
            pause = min(max(self._backoff * 2 ** (failures - 1), asked), _LONGEST_PAUSE)
            _logger.warning(
                "%s: %s; retry %d of %d in %.1f s",
                shown(url),
                reason,
                failures,
                self._retries,
                pause,
            )
            time.sleep(pause)
        # Raised here, not in the handler: the library's own error shows the URL with its secrets.
        raise StorageUnavailable(
            f"{shown(url)!r}: {reason}; gave up after {failures} attempts without progress. "
            "Check the address and the server, or raise timeout and retries"
        )

    def _open_session(self) -> "requests.Session":
        library = import_library("http", "requests")
        session: requests.Session = library.Session()
        session.headers.update(self._headers)
        adapter = library.adapters.HTTPAdapter(pool_maxsize=self._workers)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session


class _Transient(Exception):
    """A failure that may pass; ``pause`` is how many seconds the server asks to wait."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.pause = pause


@dataclass
class _Part:
    """What has been received of a file, and by what its version is known."""

    file: BinaryIO
    start: int
    received: int = 0
    furthest: int = 0
    validator: str | None = None

    def restart(self, validator: str | None) -> None:
        self.file.seek(self.start)
        self.file.truncate()
        self.received, self.validator = 0, validator

    def add(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self.received += len(chunk)
        self.furthest = max(self.furthest, self.received)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn the errors of requests into ours, without the URL that they quote."""
    errors = import_library("http", "requests").exceptions
    try:
        yield
    except (errors.InvalidURL, errors.MissingSchema, errors.InvalidSchema) as error:
        kind = type(error).__name__
        raise ValueError(f"{shown(url)!r} is not a URL that can be fetched: {kind}") from None
    except errors.SSLError:
        raise StorageUnavailable(
            f"{shown(url)!r}: the server's certificate was not accepted, or TLS failed"
        ) from None
    except errors.TooManyRedirects:
        raise StorageError(f"{shown(url)!r} redirects without end") from None
    except errors.RequestException as error:
        raise _Transient(type(error).__name__) from None


def _check(response: "requests.Response", url: str) -> None:
    """Raise what the status of a response means."""
    status = response.status_code
    if status < 400:
        return
    text = f"{shown(url)!r}: the server answers {status} {response.reason}"
    if status in (404, 410):
        raise FileNotFoundError(text)
    if status in (401, 403):
        raise PermissionError(f"{text}; pass credentials through headers or the URL")
    if status in _RETRIED:
        pause = response.headers.get("Retry-After", "")
        raise _Transient(f"status {status}", float(pause) if pause.isdigit() else 0.0)
    raise StorageError(text)


def _continues(response: "requests.Response", received: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {received}-")


def _validator(response: "requests.Response") -> str | None:
    """Return what identifies this version of the file; a weak ETag does not, byte by byte."""
    tag = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified")


def _length(response: "requests.Response") -> int | None:
    if "Content-Encoding" in response.raw.headers:
        return None  # it would count the compressed bytes
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None
