"""Load and dump objects in any registered format, on any storage."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from engine_fileio._client import client_of, warn_of_client_args
from engine_fileio._compression import compress, decompress, format_of
from engine_fileio._paths import StrPath, base_name
from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._local import LocalBackend
from engine_fileio.backends._registry import get_file_backend
from engine_fileio.handlers._base import BaseFileHandler
from engine_fileio.handlers._table import handler_of

Arguments = Mapping[str, Any] | None


def load(
    file: StrPath | IO[Any],
    file_format: str | None = None,
    file_client_args: Arguments = None,
    backend_args: Arguments = None,
    *,
    trusted: bool = True,
    **kwargs: Any,
) -> Any:
    """Load an object from a file.

    A ``.gz`` or ``.zst`` file is decompressed, and the suffix before it is the format.

    Args:
        file: Path, URI or open file.
        file_format: ``json``, ``yaml``/``yml``, ``pickle``/``pkl`` or a registered format. By
            default the suffix of the path.
        file_client_args: The older form of ``backend_args``; it warns.
        backend_args: Arguments of the backend.
        trusted: Whether you trust the author of the file. **Loading a pickle runs the code that
            it names.** False accepts plain data only. JSON and YAML hold plain data anyway.
        **kwargs: Arguments of the handler, such as ``object_pairs_hook`` for JSON.

    Raises:
        TypeError: No handler is registered for the format, or ``file`` is neither path nor file.
        UntrustedDataError: ``trusted`` is False and the file holds more than plain data.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "scores.json.gz"
        >>> dump({"top1": 0.76}, path)
        True
        >>> load(path)
        {'top1': 0.76}
    """
    if file_client_args is not None:
        warn_of_client_args("file_client_args of load")
    if not isinstance(file, str | os.PathLike):
        handler = _handler_for_open_file(file, file_format)
        read = handler.load_from_fileobj if trusted else handler.load_untrusted
        return read(file, **kwargs)
    suffix, kind = format_of(file)
    handler = handler_of(file_format or suffix)
    backend = backend_for(file, file_client_args, backend_args)
    if kind is None:
        with backend.get_local_path(file) as local:
            return _read(handler, local, trusted, kwargs)
    import tempfile  # slow to import

    with tempfile.TemporaryDirectory(prefix="engine-fileio-") as folder:
        unpacked = Path(folder) / "unpacked"
        unpacked.write_bytes(decompress(backend.get(file), kind, file))
        return _read(handler, unpacked, trusted, kwargs)


def dump(
    obj: Any,
    file: StrPath | IO[Any] | None = None,
    file_format: str | None = None,
    file_client_args: Arguments = None,
    backend_args: Arguments = None,
    **kwargs: Any,
) -> str | bytes | bool:
    """Write an object to a file, or return it as text.

    A ``.gz`` or ``.zst`` file is compressed. Local files are written atomically.

    Args:
        obj: The object.
        file: Path, URI or open file; None to return the text.
        file_format: As for `load`. Required unless ``file`` is a path.
        file_client_args: The older form of ``backend_args``; it warns.
        backend_args: Arguments of the backend.
        **kwargs: Arguments of the handler, such as ``indent`` for JSON.

    Returns:
        True if a file was written; without a file the text, as bytes for pickle.

    Raises:
        TypeError: No handler is registered for the format, or ``file`` is neither path nor file.
    """
    if file_client_args is not None:
        warn_of_client_args("file_client_args of dump")
    if file is None:
        if file_format is None:
            raise ValueError("dump needs a file or a file_format; pass file_format to get the text")
        return handler_of(file_format).dump_to_str(obj, **kwargs)
    if not isinstance(file, str | os.PathLike):
        _handler_for_open_file(file, file_format).dump_to_fileobj(obj, file, **kwargs)
        return True
    suffix, kind = format_of(file)
    handler = handler_of(file_format or suffix)
    backend = backend_for(file, file_client_args, backend_args)
    if kind is None and isinstance(backend, LocalBackend):
        with backend.get_local_path(file) as path:
            handler.dump_to_path(obj, path, **kwargs)
        return True
    import tempfile  # slow to import

    with tempfile.TemporaryDirectory(prefix="engine-fileio-") as folder:
        local = Path(folder) / base_name(file)
        handler.dump_to_path(obj, local, **kwargs)
        if kind is not None:
            local.write_bytes(compress(local.read_bytes(), kind))
        backend._upload(local, file)
    return True


def backend_for(
    file: StrPath, file_client_args: Arguments, backend_args: Arguments
) -> BaseStorageBackend:
    """Return the backend of ``file`` from the newer or the older form of arguments."""
    if file_client_args is None:
        return get_file_backend(file, backend_args=backend_args, enable_singleton=True)
    if backend_args is not None:
        raise ValueError("backend_args and the older file_client_args exclude each other; pass one")
    return client_of(file_client_args).client


def _read(handler: BaseFileHandler, local: StrPath, trusted: bool, kwargs: dict[str, Any]) -> Any:
    if trusted:
        return handler.load_from_path(local, **kwargs)
    if handler.str_like:
        with open(local, encoding="utf-8") as text:
            return handler.load_untrusted(text, **kwargs)
    with open(local, "rb") as binary:
        return handler.load_untrusted(binary, **kwargs)


def _handler_for_open_file(file: IO[Any], file_format: str | None) -> BaseFileHandler:
    if not (hasattr(file, "read") or hasattr(file, "write")):
        raise TypeError(f"file must be a path or an open file, got {file!r}")
    if file_format is None:
        raise ValueError("an open file has no suffix to choose its format; pass file_format")
    return handler_of(file_format)
