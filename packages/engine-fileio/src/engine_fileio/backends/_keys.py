"""Keys with slashes in them, seen as files in folders."""

from collections.abc import Iterable, Iterator

Entry = tuple[str, bool]
"""A path relative to the listed folder, and whether it is a folder."""


def as_folder(key: str) -> str:
    """Return the prefix that all keys in a folder have; empty for the root."""
    stripped = key.rstrip("/")
    return f"{stripped}/" if stripped else ""


def tree_of(keys: Iterable[str], prefix: str) -> Iterator[Entry]:
    """Yield all keys that begin with ``prefix``, relative to it, each folder once before them."""
    seen: set[str] = set()
    for key in keys:
        name = key[len(prefix) :]
        end = name.find("/")
        while end >= 0:
            if (folder := name[:end]) not in seen:
                seen.add(folder)
                yield folder, True
            end = name.find("/", end + 1)
        if name and not name.endswith("/"):
            yield name, False


def level_of(keys: Iterable[str], prefix: str) -> Iterator[Entry]:
    """Yield what lies directly in a folder, of all keys that begin with ``prefix``."""
    return ((name, is_folder) for name, is_folder in tree_of(keys, prefix) if "/" not in name)
