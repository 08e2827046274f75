"""Download files from HTTP and HTTPS servers."""

import functools
import io
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from engine_fileio._errors import StorageError, StorageUnavailable
from engine_fileio._paths import StrPath, base_name, shown, uri_of
from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._library import import_library
from engine_fileio.backends._per_process import PerProcess

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

_CHUNK = 1 << 16  # bytes; at most so many are lost with a connection
_LONGEST_PAUSE = 60.0
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
# Suffixes of compressed files. Their content must stay compressed.
_PACKED = (".gz", ".tgz", ".zst", ".bz2", ".xz")
_logger = logging.getLogger("engine.fileio")


class HTTPBackend(BaseStorageBackend):
    """Files of HTTP and HTTPS servers, read-only, through requests.

    Downloads are streamed. A temporary failure is retried after a growing pause: a lost, stalled or
    cut connection, or a status of 408, 425, 429, 500 or 502 to 504. The download resumes where it
    stopped if the ETag or date shows that the file has not changed.

    Args:
        timeout: Seconds to wait for a connection, and for each piece of data.
        retries: Maximum number of retries in a row that receive no new data.
        backoff: Seconds before the first retry; doubled for each further retry, up to a minute.
        headers: Headers of every request, such as ``{"Authorization": "Bearer ..."}``. They do not
            follow a redirect to another host.

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
            PermissionError: The server answers 401 or 403.
            StorageUnavailable: The server failed until the last retry.
            StorageError: The server answers with another error.
        """
        file = io.BytesIO()
        self._download(filepath, file)
        return file.getvalue()

    def get_text(self, filepath: StrPath, encoding: str = "utf-8") -> str:
        """Return the content of a file as text."""
        return self.get(filepath).decode(encoding)

    def exists(self, filepath: StrPath) -> bool:
        """Return whether the server has a file of this name; the same as ``isfile``."""
        return self.isfile(filepath)

    def isfile(self, filepath: StrPath) -> bool:
        """Return whether the server has a file of this name, by HEAD if the server supports it."""
        url = uri_of(filepath)
        return self._retrying(url, lambda: self._has(url), lambda: 0)

    def _download(self, filepath: StrPath, file: BinaryIO) -> None:
        url = uri_of(filepath)
        part = _Part(file, start=file.tell())
        self._retrying(url, lambda: self._fetch(url, part), lambda: part.furthest)

    def _has(self, url: str) -> bool:
        with _translated(url), self._request("HEAD", url) as response:
            status = response.status_code
        # Some servers support GET only. Request one byte.
        if status in (405, 501):
            with _translated(url), self._request("GET", url, Range="bytes=0-0") as response:
                status = response.status_code
        if status in (404, 410):
            return False
        if status != 416:  # the answer to a request for the first byte of an empty file
            _check(response, url)
        return True

    def _fetch(self, url: str, part: "_Part") -> None:
        """Receive the file, or the missing rest of it, into ``part``."""
        # Without compression, because a compressed transfer cannot be resumed: its ranges count
        # other bytes.
        headers = {"Accept-Encoding": "identity"}
        # With If-Range, the server sends the whole file instead of the range if the file has
        # changed.
        if part.received and part.validator:
            headers |= {"Range": f"bytes={part.received}-", "If-Range": part.validator}
        with _translated(url), self._request("GET", url, **headers) as response:
            if response.status_code == 416:
                part.restart(None)
                raise _Transient("the server does not resume the download")
            _check(response, url)
            first, total = _range(response)
            if first not in (0, part.received):
                part.restart(None)
                raise _Transient("the server sends another part of the file than the next one")
            # A server without ranges, or with a changed file, sends the whole file: start again.
            if first == 0:
                part.restart(_validator(response))
            if base_name(url).endswith(_PACKED):
                # Some servers send the suffix as Content-Encoding, and requests would decompress
                # the file.
                response.raw.headers.pop("Content-Encoding", None)
            expected = _length(response)
            before = part.received
            for chunk in response.iter_content(_CHUNK):
                part.add(chunk)
        # Checked here, because some versions of urllib3 do not report a body that ends early.
        if expected is not None and part.received - before < expected:
            raise _Transient("the connection closed before the end")
        if total is not None and part.received < total:
            raise _Transient(f"the server sends {part.received} of {total} bytes")

    def _request(self, method: str, url: str, **headers: str) -> "requests.Response":
        return self._sessions.get().request(
            method, url, headers=headers, stream=True, timeout=self._timeout, allow_redirects=True
        )

    def _retrying(self, url: str, attempt: Callable[[], T], reached: Callable[[], int]) -> T:
        """Return the result of ``attempt``, retried while it fails temporarily.

        Args:
            url: The URL, for logs and errors.
            attempt: One attempt.
            reached: Returns the progress of the work. When it grows, failures are counted from 0
                again.
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
        # Raised outside of the handler: inside, the error of requests would be its context, and
        # that error shows the secrets in the URL.
        raise StorageUnavailable(
            f"{shown(url)!r}: {reason}; gave up after {failures} attempts without progress. "
            "Check the address and the server, or increase timeout and retries"
        )

    def _open_session(self) -> "requests.Session":
        library = import_library("http", "requests")
        session: requests.Session = _session_class()()
        session.headers.update(self._headers)
        session.own_headers = self._headers  # type: ignore[attr-defined]  # of our class
        # The default pool has ten connections: more threads than that would drop and reopen
        # connections.
        adapter = library.adapters.HTTPAdapter(pool_maxsize=self._workers)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session


@functools.cache
def _session_class() -> "type[requests.Session]":
    """Return a session that keeps the user's headers to the hosts that the user named."""
    base: type[requests.Session] = import_library("http", "requests").Session

    class Session(base):  # type: ignore[valid-type, misc]  # requests is imported at first use
        own_headers: Mapping[str, str] = {}

        def rebuild_auth(self, request: Any, response: Any) -> None:
            """Remove the user's headers from a redirected request to another host."""
            super().rebuild_auth(request, response)
            leaves = self.should_strip_auth(response.request.url, request.url)
            for name, value in self.own_headers.items():
                if leaves:
                    request.headers.pop(name, None)
                # requests removes a Cookie header from each redirected request. A header that was
                # removed for another host stays removed.
                elif name.lower() == "cookie" and name in response.request.headers:
                    received = request.headers.get(name)
                    request.headers[name] = f"{value}; {received}" if received else value

    return Session


class _Transient(Exception):
    """A temporary failure; ``pause`` is the number of seconds that the server asks to wait."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.pause = pause


@dataclass
class _Part:
    """The received part of a file, and the validator of the file's version."""

    file: BinaryIO
    start: int
    received: int = 0
    furthest: int = 0
    validator: str | None = None

    # `furthest` is kept on a restart: a download that always fails at the same position makes no
    # progress, however often it starts again.

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
    """Convert the errors of requests to ours, without the URL that they quote."""
    errors = import_library("http", "requests").exceptions
    try:
        yield
    except (errors.InvalidURL, errors.MissingSchema, errors.InvalidSchema) as error:
        kind = type(error).__name__
        raise ValueError(f"{shown(url)!r} is not a URL of a server: {kind}") from None
    except errors.SSLError:
        raise StorageUnavailable(
            f"{shown(url)!r}: TLS failed, or the certificate is not valid; check the certificate"
        ) from None
    except errors.TooManyRedirects:
        raise StorageError(f"{shown(url)!r} redirects without end; check the address") from None
    except errors.RequestException as error:
        raise _Transient(type(error).__name__) from None


def _check(response: "requests.Response", url: str) -> None:
    """Raise the error for the status of a response; do nothing if it is a success."""
    status = response.status_code
    # requests follows redirects; what is left of them, such as one without an address, has no file.
    if status < 300:
        return
    text = f"{shown(url)!r}: the server answers {status} {response.reason}"
    if status in (404, 410):
        raise FileNotFoundError(text)
    if status in (401, 403):
        raise PermissionError(f"{text}; pass credentials through headers or the URL")
    if status in _RETRIED:
        pause = response.headers.get("Retry-After", "")
        raise _Transient(f"status {status}", float(pause) if pause.isdecimal() else 0.0)
    raise StorageError(text)


def _range(response: "requests.Response") -> tuple[int | None, int | None]:
    """Return the position of the body's first byte in the file, and the file's size, if known."""
    if response.status_code != 206:
        return 0, None
    # A server or proxy may also answer with a part that nobody has asked for.
    found = re.match(r"bytes (\d+)-\d+/(\d+)?", response.headers.get("Content-Range", ""))
    if found is None:
        return None, None
    return int(found[1]), None if found[2] is None else int(found[2])


def _validator(response: "requests.Response") -> str | None:
    """Return the ETag if it is strong, else the date: a weak ETag does not identify the bytes."""
    tag = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified")


def _length(response: "requests.Response") -> int | None:
    if "Content-Encoding" in response.raw.headers:
        return None  # Content-Length counts the compressed bytes
    length = response.headers.get("Content-Length")
    if length is None:
        return None
    # Without a valid length, a body that ends early would pass as the whole file.
    if not length.isdecimal():
        raise _Transient(f"the server sends the Content-Length {length!r}")
    return int(length)
