"""Compress and decompress gzip and zstandard files, chosen by suffix."""

import gzip
import zlib
from types import ModuleType
from typing import Any, Literal

from engine_fileio._errors import StorageError
from engine_fileio._paths import StrPath, base_name, shown
from engine_utils import import_extra

Compression = Literal["gz", "zst"]


def format_of(path: StrPath) -> tuple[str, Compression | None]:
    """Return the suffix that names the format, and the compression after it.

    ``'a.json'`` gives ``('json', None)`` and ``'a.json.gz'`` gives ``('json', 'gz')``.
    """
    parts = base_name(path).lower().split(".")
    kind: Compression | None = None
    if len(parts) > 1 and parts[-1] in ("gz", "zst"):
        kind = "gz" if parts.pop() == "gz" else "zst"
    return (parts[-1] if len(parts) > 1 else ""), kind


def compress(data: bytes, kind: Compression) -> bytes:
    """Return ``data``, compressed."""
    if kind == "gz":
        # Without a timestamp, equal data always gives equal bytes.
        return gzip.compress(data, mtime=0)
    compressed: bytes = _zstandard().ZstdCompressor().compress(data)
    return compressed


def decompress(data: bytes, kind: Compression, path: StrPath) -> bytes:
    """Return ``data``, decompressed.

    Raises:
        StorageError: The data is damaged or truncated; ``path`` is named in the message.
    """
    try:
        return gzip.decompress(data) if kind == "gz" else _unpack_zstd(data)
    except (OSError, EOFError, zlib.error) as error:
        raise StorageError(
            f"{shown(path)!r} must be a complete .{kind} file: {error}; download or write it again"
        ) from error


def _unpack_zstd(data: bytes) -> bytes:
    zstandard = _zstandard()
    found, rest = bytearray(), data
    # A file may hold several frames in a row, as `zstd a b > c` writes them. One call reads one
    # frame.
    while rest:
        frame: Any = zstandard.ZstdDecompressor().decompressobj()
        try:
            found += frame.decompress(rest)
        except zstandard.ZstdError as error:
            raise EOFError(str(error)) from error
        if not frame.eof:
            raise EOFError("the last frame is truncated")
        rest = frame.unused_data
    return bytes(found)


def _zstandard() -> ModuleType:
    return import_extra("zstandard", install="engine-fileio[zstd]", purpose="a .zst file")
