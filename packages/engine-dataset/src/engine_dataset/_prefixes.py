"""Join the paths of a dataset with its root and its prefixes."""

import os
from collections.abc import Mapping

from engine_fileio import join_path
from engine_utils import expand_home, is_abs


def join(root: str, path: str) -> str:
    """Return a path below a root, which an absolute or remote path does not have."""
    path = expand_home(path)
    if not root or is_abs(path):
        return path
    # os.path.join would put a backslash into an address on Windows.
    return join_path(root, path) if "://" in root else os.path.join(root, path)


def copy_of(prefixes: Mapping[str, str] | None) -> dict[str, str]:
    """Return a copy of the prefixes, which may be changed.

    Raises:
        TypeError: ``prefixes`` is not a dict.
    """
    if prefixes is not None and not isinstance(prefixes, Mapping):
        raise TypeError(
            f"data_prefix must be a dict of folders, got {type(prefixes).__name__}: {prefixes!r}; "
            f"write dict(img_path={prefixes!r}) for the folder of the images"
        )
    return dict(prefixes or {})


def join_prefixes(root: str, prefixes: Mapping[str, str]) -> dict[str, str]:
    """Return the prefixes below a root.

    Raises:
        TypeError: A prefix is not a string.
    """
    for key, prefix in prefixes.items():
        if not isinstance(prefix, str):
            raise TypeError(
                f"data_prefix[{key!r}] must be a folder, got {type(prefix).__name__}: {prefix!r}"
            )
    return {key: join(root, prefix) for key, prefix in prefixes.items()}
