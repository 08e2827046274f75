"""Downloading an object of S3: whole if it is small, in parts by several threads if it is large."""

import contextlib
import threading
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from engine_fileio._errors import StorageError, StorageUnavailable
from engine_fileio._paths import StrPath, shown
from engine_fileio.backends._s3_address import S3Object
from engine_fileio.backends._table import import_library
from engine_fileio.backends._transfer import run_parallel

_ATTEMPTS = 5
_CHUNK = 1 << 18  # bytes that a thread holds in memory, about three times over


@dataclass(frozen=True, kw_only=True)
class Download:
    """One object on its way into a file.

    boto3's own transfer manager is not used: it keeps a queue of pieces in memory, and leaves the
    connection of an answer that broke off to the garbage collector.

    Attributes:
        client: boto3's client of the store.
        where: The object.
        path: What the caller calls it, for errors.
        file: Where to write, from its present position on; it must be able to seek.
        part: Objects of more bytes travel in parts of this size.
        threads: How many parts travel at once.
        alone: Entered while an object travels in parts, to limit how many do so at once.
    """

    client: Any
    where: S3Object
    path: StrPath
    file: BinaryIO
    part: int
    threads: int
    alone: contextlib.AbstractContextManager[Any]
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Write the object.

        Raises:
            StorageUnavailable: An answer broke off, or the object was replaced, again and again.
        """
        begin = self.file.tell()
        for _ in range(_ATTEMPTS):
            self.file.seek(begin)
            self.file.truncate()
            if self._whole(begin):
                return
        raise StorageUnavailable(
            f"{shown(self.path)!r} was cut off or replaced {_ATTEMPTS} times while it was read; "
            "check network and store"
        )

    def _whole(self, begin: int) -> bool:
        """Return whether the object arrived; its old content may have been replaced meanwhile."""
        answer = self._ask()
        size = answer["ContentLength"]
        if size <= self.part:
            return self._receive(answer["Body"], begin)
        answer["Body"].close()
        version = {"IfMatch": answer["ETag"]} if "ETag" in answer else {}
        try:
            with self.alone:
                run_parallel(
                    lambda first: self._part(first, min(first + self.part, size), begin, version),
                    range(0, size, self.part),
                    workers=self.threads,
                )
        except import_library("s3", "botocore.exceptions").ClientError as error:
            if error.response["Error"]["Code"] not in ("412", "PreconditionFailed"):
                raise
            return False
        return True

    def _part(self, first: int, end: int, begin: int, version: dict[str, str]) -> None:
        """Write the bytes from ``first`` up to ``end`` of the object to their place."""
        for _ in range(_ATTEMPTS):
            answer = self._ask(Range=f"bytes={first}-{end - 1}", **version)
            if not answer.get("ContentRange", "").startswith(f"bytes {first}-{end - 1}/"):
                answer["Body"].close()
                raise StorageError(
                    f"the store of {shown(self.path)!r} does not answer a request for a range of "
                    "bytes by that range, which objects of this size need"
                )
            if self._receive(answer["Body"], begin + first):
                return
        raise StorageUnavailable(
            f"{shown(self.path)!r} was cut off {_ATTEMPTS} times at the bytes from {first} to "
            f"{end}; check network and store"
        )

    def _receive(self, body: Any, place: int) -> bool:
        """Write an answer to ``place`` in the file; False if it broke off."""
        broken = import_library("s3", "botocore.exceptions")
        with contextlib.closing(body):
            try:
                for chunk in body.iter_chunks(_CHUNK):
                    with self._writing:
                        self.file.seek(place)
                        self.file.write(chunk)
                    place += len(chunk)
            except (broken.HTTPClientError, broken.IncompleteReadError):
                return False
        return True

    def _ask(self, **options: str) -> Any:
        return self.client.get_object(Bucket=self.where.bucket, Key=self.where.key, **options)
