"""Read and write objects in S3 and in stores with the same protocol."""

import functools
import io
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from engine_fileio._errors import StorageError
from engine_fileio._paths import StrPath, shown
from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._keys import Entry, as_folder
from engine_fileio.backends._library import import_library
from engine_fileio.backends._per_process import PerProcess
from engine_fileio.backends._s3_address import S3Connection, S3Object, locate
from engine_fileio.backends._s3_download import Download
from engine_fileio.backends._s3_errors import check_answer, storage_errors
from engine_fileio.backends._s3_listing import all_keys, folder_entries, tree_entries
from engine_fileio.backends._transfer import run_parallel

_PART = 8 << 20  # bytes; larger objects are transferred in parts of this size
_COPIED_IN_PARTS = ("InvalidRequest", "EntityTooLarge")  # the codes for copies over 5 GB
_DELETED_AT_ONCE = 1000  # keys, the maximum of one request
# A transfer in parts holds memory per thread, about 3 MB for an upload.
_TRANSFER_THREADS = 6
_TRANSFERS_AT_ONCE = 2


class S3Backend(BaseStorageBackend):
    """Objects in S3 and compatible stores, through boto3.

    A folder is the part of keys before a slash. Objects over 8 MB are transferred in parts: six
    parts at once, and two such objects at once. This bounds the memory for large trees. Trees are
    transferred with ``workers`` objects at once. A forked child opens its own client.

    Args:
        path_mapping: URIs by local prefix: with ``{"data/": "s3://b/d/"}`` the path ``data/a.jpg``
            means ``s3://b/d/a.jpg``. The longest prefix applies, and ``..`` cannot leave it.
        endpoint_url: Address of a store other than Amazon's.
        region_name: Region of the store.
        profile_name: Profile of the AWS configuration files.
        aws_access_key_id: Access key. Prefer environment variables for this and the next two.
        aws_secret_access_key: Secret key.
        aws_session_token: Token of temporary credentials.
        anonymous: Send unsigned requests, for public buckets.
        timeout: Seconds to wait for a connection, and for each piece of data.
        retries: Number of retries of a request that fails temporarily, with growing pauses.
        workers: Number of objects of a tree that are transferred at once.

    Example:
        >>> backend = S3Backend({"data/": "s3://bucket/coco/"}, region_name="eu-west-1")
        >>> backend.join_path("s3://bucket/runs", "a", "log.json")
        's3://bucket/runs/a/log.json'
    """

    _schemes: tuple[str, ...] = ("s3",)

    def __init__(
        self,
        path_mapping: Mapping[str, str] | None = None,
        *,
        endpoint_url: str | None = None,
        region_name: str | None = None,
        profile_name: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        anonymous: bool = False,
        timeout: float = 60.0,
        retries: int = 4,
        workers: int = 16,
    ) -> None:
        self._mapping = dict(path_mapping or {})
        self._timeout = timeout
        self._retries = retries
        self._workers = workers
        self._connection = S3Connection(
            endpoint_url=endpoint_url,
            region_name=region_name,
            profile_name=profile_name,
            anonymous=anonymous,
            access_key_id=aws_access_key_id,
            secret_access_key=aws_secret_access_key,
            session_token=aws_session_token,
        )
        self._clients = PerProcess(self._open_client)

    def get(self, filepath: StrPath) -> bytes:
        """Return the content of an object.

        Raises:
            FileNotFoundError: The object or its bucket does not exist.
            PermissionError: The store denies access, or credentials are missing.
            StorageUnavailable: The store cannot be reached, or failed until the last retry.
        """
        file = io.BytesIO()
        self._download(filepath, file)
        return file.getvalue()

    def get_text(self, filepath: StrPath, encoding: str = "utf-8") -> str:
        """Return the content of an object as text."""
        return self.get(filepath).decode(encoding)

    def put(self, obj: bytes | memoryview, filepath: StrPath) -> None:
        """Write an object; a reader finds the old one or the new one, never a part."""
        where = self._locate(filepath)
        with storage_errors(filepath):
            if len(obj) <= _PART:
                self._client(where).put_object(Bucket=where.bucket, Key=where.key, Body=bytes(obj))
            else:
                self._client(where).upload_fileobj(
                    io.BytesIO(obj), where.bucket, where.key, Config=_transfer_config()
                )

    def exists(self, filepath: StrPath) -> bool:
        """Return whether there is an object or folder of this name."""
        return self.isfile(filepath) or self.isdir(filepath)

    def isfile(self, filepath: StrPath) -> bool:
        """Return whether there is an object of this name."""
        where = self._locate(filepath)
        return bool(where.key) and self._has(where, filepath)

    def isdir(self, filepath: StrPath) -> bool:
        """Return whether any key lies under this name."""
        where = self._locate(filepath)
        arguments = {"Bucket": where.bucket, "Prefix": as_folder(where.key), "MaxKeys": 1}
        try:
            with storage_errors(filepath):
                found = self._client(where).list_objects_v2(**arguments)
        except FileNotFoundError:
            return False
        # Not by "KeyCount", which some stores do not send. An empty bucket is a folder.
        return not where.key or bool(found.get("Contents"))

    def remove(self, filepath: StrPath) -> None:
        """Delete an object.

        Raises:
            FileNotFoundError: The object does not exist.
            IsADirectoryError: The path is a folder; use ``rmtree``.
        """
        where = self._locate(filepath)
        # Checked first: S3 reports success for deleting an object that does not exist.
        if not self.isfile(filepath):
            raise self._no_file(filepath)
        with storage_errors(filepath):
            self._client(where).delete_object(Bucket=where.bucket, Key=where.key)

    def rmtree(self, dir_path: StrPath) -> None:
        """Delete all objects under a folder, a thousand per request."""
        where = self._locate(dir_path)
        with storage_errors(dir_path):
            keys = list(all_keys(self._client(where), where.bucket, as_folder(where.key)))
        if not keys:
            raise FileNotFoundError(f"{shown(dir_path)!r} does not exist")
        batches = {
            keys[first]: keys[first : first + _DELETED_AT_ONCE]
            for first in range(0, len(keys), _DELETED_AT_ONCE)
        }

        def delete(batch: str) -> None:
            objects = {"Objects": [{"Key": key} for key in batches[batch]], "Quiet": True}
            with storage_errors(dir_path):
                answer = self._client(where).delete_objects(Bucket=where.bucket, Delete=objects)
            # The request succeeds even if the deletion of a key fails.
            for failed in answer.get("Errors", [])[:1]:
                raise StorageError(f"{failed['Key']!r} was not deleted: {failed['Code']}")

        run_parallel(delete, batches, workers=self._workers)

    def generate_presigned_url(
        self,
        url: str,
        client_method: str = "get_object",
        expires_in: int = 3600,
    ) -> str:
        """Return a URL that reads (``get_object``) or writes (``put_object``) without credentials.

        It is valid for ``expires_in`` seconds, a week at most.
        """
        if client_method not in ("get_object", "put_object"):
            raise ValueError(
                f"client_method must be 'get_object' or 'put_object', got {client_method!r}"
            )
        where = self._locate(url)
        with storage_errors(url):
            signed: str = self._client(where).generate_presigned_url(
                client_method,
                Params={"Bucket": where.bucket, "Key": where.key},
                ExpiresIn=expires_in,
            )
        return signed

    def _entries(self, dir_path: StrPath, recursive: bool) -> Iterator[Entry]:
        where = self._locate(dir_path)
        place = (self._client(where), where.bucket, as_folder(where.key))
        found = tree_entries(*place, workers=self._workers) if recursive else folder_entries(*place)
        empty = True
        with storage_errors(dir_path):
            for entry in found:
                empty = False
                yield entry
        # An empty bucket is a folder, but a prefix without keys is not.
        if empty and not self.isdir(dir_path):
            raise FileNotFoundError(f"there is no folder {shown(dir_path)!r}")

    def _download(self, filepath: StrPath, file: BinaryIO) -> None:
        where = self._locate(filepath)
        with storage_errors(filepath):
            Download(
                client=self._client(where),
                where=where,
                path=filepath,
                file=file,
                part=_PART,
                threads=_TRANSFER_THREADS,
                alone=_in_parts.get(),
            ).run()

    def _upload(self, local: Path, filepath: StrPath) -> None:
        where = self._locate(filepath)
        with storage_errors(filepath):
            if local.stat().st_size > _PART:
                with _in_parts.get():
                    self._client(where).upload_file(
                        str(local), where.bucket, where.key, Config=_transfer_config()
                    )
                return
            with open(local, "rb") as body:
                self._client(where).put_object(Bucket=where.bucket, Key=where.key, Body=body)

    def _copy(self, src: StrPath, dst: StrPath) -> None:
        source, target = self._locate(src), self._locate(dst)
        if source.cluster != target.cluster:
            with self.get_local_path(src) as local:
                self._upload(Path(local), dst)
            return
        origin = {"Bucket": source.bucket, "Key": source.key}
        place = {"Bucket": target.bucket, "Key": target.key}
        with storage_errors(src):
            # One request copies up to 5 GB. Try it, and copy in parts if it fails: asking for the
            # size first would double the time of small copies.
            try:
                self._client(target).copy_object(CopySource=origin, **place)
            except import_library("s3", "botocore.exceptions").ClientError as error:
                if error.response["Error"]["Code"] not in _COPIED_IN_PARTS:
                    raise
                self._client(target).copy(CopySource=origin, **place)

    def _same(self, src: StrPath, dst: StrPath) -> bool:
        return self._locate(src) == self._locate(dst)

    def _has(self, where: S3Object, filepath: StrPath) -> bool:
        try:
            with storage_errors(filepath):
                self._client(where).head_object(Bucket=where.bucket, Key=where.key)
        except FileNotFoundError:
            return False
        return True

    def _locate(self, filepath: StrPath) -> S3Object:
        return locate(filepath, self._mapping, self._schemes)

    def _client(self, where: S3Object) -> Any:
        return self._clients.get(where.cluster)

    def _connection_of(self, cluster: str | None) -> S3Connection:
        if cluster is not None:
            raise ValueError(
                f"{self.name} has one store and no cluster {cluster!r}; use PetrelBackend with a "
                "conf_path that describes the clusters"
            )
        return self._connection

    def _open_client(self, cluster: str | None) -> Any:
        connection = self._connection_of(cluster)
        config = import_library("s3", "botocore.config")
        settings: dict[str, Any] = {
            # One connection per thread: with fewer, boto3 would drop and reopen connections.
            "max_pool_connections": self._workers + _TRANSFERS_AT_ONCE * _TRANSFER_THREADS,
            "retries": {"mode": "standard", "total_max_attempts": self._retries + 1},
            "connect_timeout": self._timeout,
            "read_timeout": self._timeout,
        }
        if connection.anonymous:
            settings["signature_version"] = import_library("s3", "botocore").UNSIGNED
        if connection.endpoint_url:
            # Most other stores do not have a DNS name for each bucket.
            settings["s3"] = {"addressing_style": "path"}
        # Building a client is not thread-safe in boto3.
        with _opening.get():
            client = _sessions.get(connection.profile_name).client(
                "s3",
                endpoint_url=connection.endpoint_url,
                region_name=connection.region_name,
                aws_access_key_id=connection.access_key_id,
                aws_secret_access_key=connection.secret_access_key,
                aws_session_token=connection.session_token,
                config=config.Config(**settings),
            )
        client.meta.events.register("before-parse.s3", check_answer)
        return client


def _open_session(profile_name: str | None) -> Any:
    return import_library("s3", "boto3").session.Session(profile_name=profile_name)


# Shared by all backends, because creating a session takes a second.
_sessions = PerProcess(_open_session)
_opening = PerProcess(threading.Lock)
# Limits the transfers in parts: each has its own threads, and a tree may hold many large objects.
_in_parts = PerProcess(functools.partial(threading.BoundedSemaphore, _TRANSFERS_AT_ONCE))


def _transfer_config() -> Any:
    return import_library("s3", "boto3.s3.transfer").TransferConfig(
        multipart_threshold=_PART,
        multipart_chunksize=_PART,
        max_concurrency=_TRANSFER_THREADS,
    )
