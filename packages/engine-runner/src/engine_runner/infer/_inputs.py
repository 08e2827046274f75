"""List the inputs that a user names: paths, folders, patterns, addresses, arrays."""

import glob
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from engine_fileio import get_file_backend, join_path, list_dir_or_file
from engine_utils import expand_home


def list_inputs(inputs: Any) -> list[Any]:
    """Return the single inputs that one input, or an iterable of them, stands for.

    A folder stands for its files, sorted by name, without hidden ones; if there are pictures in it,
    for these alone. A pattern such as ``images/*.png`` stands for the files that match it. Paths
    become strings, and ``~`` the home folder. A path that does not exist stays: reading it raises.

    Args:
        inputs: A path, an address, an array, a sample, any other object, or an iterable of them.

    Raises:
        ValueError: A path is empty.

    Example:
        >>> list_inputs(["a.png", "https://example.org/b.png"])
        ['a.png', 'https://example.org/b.png']
    """
    if isinstance(inputs, str | os.PathLike):
        return _files_of(expand_home(os.fspath(inputs)))
    if isinstance(inputs, np.ndarray | Tensor | Mapping) or not isinstance(inputs, Iterable):
        return [inputs]
    return [one for item in inputs for one in _one_or_more(item)]


def _one_or_more(item: Any) -> list[Any]:
    return list_inputs(item) if isinstance(item, str | os.PathLike) else [item]


def _files_of(path: str) -> list[str]:
    if not path:
        raise ValueError(
            "inputs must be paths or addresses, got an empty string; '.' is the current folder"
        )
    if "://" in path:
        return _remote_files(path)
    folder = Path(path)
    if folder.is_dir():
        return _preferred(sorted(str(file) for file in folder.iterdir() if file.is_file()))
    if not folder.exists() and glob.has_magic(path):
        found = sorted(file for file in glob.glob(path, recursive=True) if os.path.isfile(file))
        return found or [path]
    return [path]


def _remote_files(address: str) -> list[str]:
    """Return the files of a folder of a storage; an address of HTTP is always a file."""
    backend = get_file_backend(address)
    if address.startswith(("http://", "https://")) or not backend.isdir(address):
        return [address]
    names = list_dir_or_file(address, list_dir=False, backend_args=None)
    return _preferred(sorted(join_path(address, name) for name in names))


def _preferred(files: list[str]) -> list[str]:
    shown = [file for file in files if not os.path.basename(file).startswith(".")]
    return [file for file in shown if is_picture(file)] or shown


def is_picture(path: str) -> bool:
    """Return whether the ending of a path is that of a format of pictures that Pillow reads."""
    return os.path.splitext(_without_query(path))[1].lower() in _picture_endings()


def may_be_picture(path: str) -> bool:
    """Return whether a path has the ending of a picture, or none at all, as some addresses have."""
    return is_picture(path) or "." not in Path(_without_query(path)).name


def _without_query(address: str) -> str:
    """Return an address without its query; the name of a file may have a question mark."""
    return address.partition("?")[0] if "://" in address else address


@cache
def _picture_endings() -> frozenset[str]:
    formats = Image.registered_extensions()
    readable = {ending for ending, kind in formats.items() if kind in Image.OPEN}
    return frozenset(readable - {".pdf", ".mpg", ".mpeg"})


def name_of(item: Any, position: int) -> str:
    """Return the name of an input for messages and records: its path, or its position.

    Args:
        item: The input.
        position: Its position among the inputs.
    """
    if isinstance(item, str | os.PathLike):
        return os.fspath(item)
    if isinstance(item, Mapping) and isinstance(item.get("img_path"), str):
        return str(item["img_path"])
    return f"input {position}"
