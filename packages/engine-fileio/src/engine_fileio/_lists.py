"""Read text files as lists and dicts."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import islice
from typing import Any

from engine_fileio._client import warn_of_client_args
from engine_fileio._compression import decompress, format_of
from engine_fileio._load_dump import backend_for
from engine_fileio._paths import StrPath, shown

Arguments = Mapping[str, Any] | None


def list_from_file(
    filename: StrPath,
    prefix: str = "",
    offset: int = 0,
    max_num: int = 0,
    encoding: str = "utf-8",
    file_client_args: Arguments = None,
    backend_args: Arguments = None,
) -> list[str]:
    r"""Return the lines of a text file, without their ends.

    Args:
        filename: Path or URI; ``.gz`` and ``.zst`` files are decompressed.
        prefix: Text to put before each line.
        offset: Number of lines to skip.
        max_num: Maximum number of lines to return; all if <= 0.
        encoding: Encoding of the file.
        file_client_args: The older form of ``backend_args``; it warns.
        backend_args: Arguments of the backend.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
        >>> _ = path.write_text("cat\ndog\nfox\n")
        >>> list_from_file(path, prefix="img/", offset=1)
        ['img/dog', 'img/fox']
    """
    if file_client_args is not None:
        warn_of_client_args("file_client_args of list_from_file")
    lines = _lines(filename, encoding, file_client_args, backend_args)
    stop = offset + max_num if max_num > 0 else None
    return [prefix + line for line in islice(lines, offset, stop)]


def dict_from_file(
    filename: StrPath,
    key_type: Callable[[str], Hashable] = str,
    encoding: str = "utf-8",
    file_client_args: Arguments = None,
    backend_args: Arguments = None,
) -> dict[Any, str | list[str]]:
    r"""Return a text file of columns as a dict, keyed by the first column.

    A line with one value gives that value, a line with several values a list. Empty lines are
    skipped.

    Args:
        filename: Path or URI; ``.gz`` and ``.zst`` files are decompressed.
        key_type: Converts the first column to a key, such as ``int``.
        encoding: Encoding of the file.
        file_client_args: The older form of ``backend_args``; it warns.
        backend_args: Arguments of the backend.

    Raises:
        ValueError: A line has only one column.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "b.txt"
        >>> _ = path.write_text("1 cat\n2 dog cow\n")
        >>> dict_from_file(path, key_type=int)
        {1: 'cat', 2: ['dog', 'cow']}
    """
    if file_client_args is not None:
        warn_of_client_args("file_client_args of dict_from_file")
    found: dict[Any, str | list[str]] = {}
    lines = _lines(filename, encoding, file_client_args, backend_args)
    for number, line in enumerate(lines, start=1):
        columns = line.split()
        if not columns:
            continue
        key, *values = columns
        if not values:
            raise ValueError(
                f"{shown(filename)!r}, line {number}: a line must have two columns or more, "
                f"got {line!r}; add a value after the key"
            )
        found[key_type(key)] = values[0] if len(values) == 1 else values
    return found


def _lines(
    filename: StrPath, encoding: str, file_client_args: Arguments, backend_args: Arguments
) -> Iterator[str]:
    backend = backend_for(filename, file_client_args, backend_args)
    data = bytes(backend.get(filename))
    kind = format_of(filename)[1]
    if kind is not None:
        data = decompress(data, kind, filename)
    # Only \n, \r\n and \r end lines, as in open(). str.splitlines splits at a dozen other
    # characters.
    text = data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    return iter(lines if lines[-1] else lines[:-1])
