"""Parse paths and URIs, and show them without secrets."""

import os
import pathlib
import posixpath
import re
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from engine_utils import expand_home

StrPath = str | os.PathLike[str]
# A destination: a copy to a path object returns one.
PathT = TypeVar("PathT", bound=StrPath)

# pathlib turns "s3://bucket" into "s3:/bucket". A scheme of one letter is excluded: it is a Windows
# drive.
_FOLDED = re.compile(r"^((?:[\w.-]+:)?[A-Za-z][\w+.-]+):/(?!/)")


def uri_of(path: StrPath) -> str:
    """Return ``path`` as text with slashes; restore ``//``, of which pathlib drops one slash."""
    if isinstance(path, str):
        return path
    # The separator of a PureWindowsPath, or of a Path on Windows, is not a part of a name.
    text = path.as_posix() if isinstance(path, pathlib.PureWindowsPath) else os.fspath(path)
    return _FOLDED.sub(r"\1://", text)


def local_path(path: StrPath) -> StrPath:
    """Return a local path without ``file://``, and with the home folder in place of ``~``.

    Example:
        >>> local_path("file:///data/train.txt")
        '/data/train.txt'
    """
    if isinstance(path, str):
        return expand_home(path.removeprefix("file://"))
    return expand_home(path) if os.fspath(path).startswith("~") else path


def prefix_of(uri: StrPath) -> str | None:
    """Return the scheme of a URI, without a cluster name before it; None for a plain path.

    ``'s3://bucket/key'`` and ``'cluster:s3://bucket/key'`` both give ``'s3'``.
    """
    text = uri_of(uri)
    if "://" not in text:
        return None
    return text.partition("://")[0].rpartition(":")[2]


def shown(uri: StrPath) -> str:
    """Return ``uri`` without user names, passwords and signed queries, for errors and logs."""
    text = uri_of(uri)
    if "://" not in text:
        return text
    # urlsplit would read "?" and "#" in the key of an object as a query and a fragment.
    scheme, _, rest = text.partition("://")
    authority, slash, tail = rest.partition("/")
    text = f"{scheme}://{authority.rpartition('@')[2]}{slash}{tail}"
    if scheme not in ("http", "https"):
        return text
    parts = urlsplit(text)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "...", "")) if parts.query else text


def resolve_dots(key: str, *, root: str = "") -> str:
    """Resolve ``.`` and ``..`` in a slash-separated key, as a file system would.

    Args:
        key: Key without a scheme. Leading slashes are dropped.
        root: The leading part of ``key``; ``..`` must not lead out of it.

    Raises:
        PermissionError: The key leads out of ``root``.
    """
    kept: list[str] = []
    floor = len([part for part in root.split("/") if part])
    for part in key.split("/"):
        if part == "..":
            if len(kept) <= floor:
                raise PermissionError(
                    f"{key!r} must stay inside {root or 'its root'!r}, but leaves it through '..'; "
                    "write the path without '..'"
                )
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept)


def check_listed(name: str) -> str:
    """Check that a name listed by a server is safe as a relative path, and return it.

    Object stores can hold keys such as ``../x`` or ``a//b``. Joined to a folder, they would name a
    file outside of it, or another object.

    Raises:
        PermissionError: ``name`` has an empty part, ``.`` or ``..``.
    """
    parts = name.split("/") if os.sep == "/" else name.replace(os.sep, "/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise PermissionError(
            f"the listed name {name!r} would lead to another place; rename it in the storage"
        )
    return name


def base_name(uri: StrPath) -> str:
    """Return the last part of a path or URI, without a query; never empty, ``.`` or ``..``."""
    text = uri_of(uri)
    if prefix_of(text) in ("http", "https"):
        text = urlsplit(text).path
    name = posixpath.basename(text.rstrip("/"))
    return name if name not in ("", ".", "..") else "file"
