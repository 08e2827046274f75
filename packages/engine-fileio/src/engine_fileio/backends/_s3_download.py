"""Download an object of S3: at once if it is small, in parts by several threads if large."""

import contextlib
import threading
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from engine_fileio._errors import StorageError, StorageUnavailable
from engine_fileio._paths import StrPath, shown
from engine_fileio.backends._library import import_library
from engine_fileio.backends._s3_address import S3Object
from engine_fileio.backends._transfer import run_parallel

_ATTEMPTS = 5
_CHUNK = 1 << 18  # bytes; each thread holds about three chunks in memory


@dataclass(frozen=True, kw_only=True)
class Download:
    """The download of one object into a file.

    boto3's own transfer manager is not used. It queues chunks in memory, and it does not close the
    connection of an interrupted answer.

    Attributes:
        client: The client of the store, from boto3.
        where: The object.
        path: The path that the caller passed, for errors.
        file: A seekable file, written from its current position.
        part: Objects of more bytes are downloaded in parts of this size.
        threads: Number of parts that are downloaded at once.
        alone: A context that limits how many downloads in parts run at once.
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
            StorageUnavailable: At each attempt, the answer was interrupted or the object was
                replaced.
        """
        begin = self.file.tell()
        for _ in range(_ATTEMPTS):
            self.file.seek(begin)
            self.file.truncate()
            if self._whole(begin):
                return
        raise StorageUnavailable(
            f"{shown(self.path)!r} was cut off or replaced {_ATTEMPTS} times while it was read; "
            "check the network and the store"
        )

    def _whole(self, begin: int) -> bool:
        """Download the object once; return False if it was interrupted or replaced."""
        # Request the whole object first: most objects are small. The answer also shows the size.
        answer = self._request()
        size = answer["ContentLength"]
        if size <= self.part:
            return self._receive(answer["Body"], begin)
        answer["Body"].close()
        # All parts must be of this version of the object. For another version the store answers
        # 412.
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
        """Write the bytes from ``first`` up to ``end`` of the object to their position."""
        for _ in range(_ATTEMPTS):
            answer = self._request(Range=f"bytes={first}-{end - 1}", **version)
            # A store that does not support ranges sends the whole object, which would corrupt the
            # file.
            if not answer.get("ContentRange", "").startswith(f"bytes {first}-{end - 1}/"):
                answer["Body"].close()
                raise StorageError(
                    f"the store of {shown(self.path)!r} must support requests for ranges of bytes, "
                    "which objects of this size need; use another store"
                )
            if self._receive(answer["Body"], begin + first):
                return
        raise StorageUnavailable(
            f"{shown(self.path)!r} was cut off {_ATTEMPTS} times at the bytes from {first} to "
            f"{end}; check the network and the store"
        )

    def _receive(self, body: Any, place: int) -> bool:
        """Write an answer to a position in the file; return False if it was interrupted."""
        broken = import_library("s3", "botocore.exceptions")
        with contextlib.closing(body):
            try:
                for chunk in body.iter_chunks(_CHUNK):
                    # Locked, because all threads share one file position.
                    with self._writing:
                        self.file.seek(place)
                        self.file.write(chunk)
                    place += len(chunk)
            except (broken.HTTPClientError, broken.IncompleteReadError):
                return False
        return True

    def _request(self, **options: str) -> Any:
        return self.client.get_object(Bucket=self.where.bucket, Key=self.where.key, **options)
