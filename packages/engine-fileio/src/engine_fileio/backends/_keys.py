"""Files and folders from keys with slashes, for storages that have no folders."""

from collections.abc import Iterable, Iterator

Entry = tuple[str, bool]
"""A path relative to the listed folder, and whether it is a folder."""


def as_folder(key: str) -> str:
    """Return the prefix of all keys in a folder, which is empty for the root."""
    stripped = key.rstrip("/")
    return f"{stripped}/" if stripped else ""


def tree_of(keys: Iterable[str], prefix: str) -> Iterator[Entry]:
    """Yield all files under ``prefix``, relative to it, each folder once before its files."""
    seen: set[str] = set()
    for key in keys:
        name = key[len(prefix) :]
        end = name.find("/")
        while end >= 0:
            if (folder := name[:end]) not in seen:
                seen.add(folder)
                yield folder, True
            end = name.find("/", end + 1)
        # A key that ends in a slash marks an empty folder, as consoles of object stores write it.
        if name and not name.endswith("/"):
            yield name, False


def entries_of(keys: Iterable[str], prefix: str, *, recursive: bool) -> Iterator[Entry]:
    """Yield the files and folders that keys with one prefix make.

    Args:
        keys: The keys that begin with ``prefix``, those of one folder in a row.
        prefix: The folder, ending in a slash, or an empty string for the root.
        recursive: Whether to yield what lies in folders below.
    """
    found = tree_of(keys, prefix)
    return found if recursive else (entry for entry in found if "/" not in entry[0])
