"""Derive files and folders from keys with slashes, for storages without folders."""

from collections.abc import Iterable, Iterator

Entry = tuple[str, bool]
"""A path relative to the listed folder, and whether it is a folder."""


def as_folder(key: str) -> str:
    """Return the prefix of all keys in a folder; it is empty for the root."""
    stripped = key.rstrip("/")
    return f"{stripped}/" if stripped else ""


def tree_of(keys: Iterable[str], prefix: str) -> Iterator[Entry]:
    """Yield all files and folders under ``prefix``, relative to it; a folder before its files."""
    seen: set[str] = set()
    for key in keys:
        name = key[len(prefix) :]
        end = name.find("/")
        while end >= 0:
            if (folder := name[:end]) not in seen:
                seen.add(folder)
                yield folder, True
            end = name.find("/", end + 1)
        # A key that ends in a slash marks an empty folder. Web consoles of object stores write such
        # keys.
        if name and not name.endswith("/"):
            yield name, False


def entries_of(keys: Iterable[str], prefix: str, *, recursive: bool) -> Iterator[Entry]:
    """Yield the files and folders of keys that begin with one prefix.

    Args:
        keys: The keys that begin with ``prefix``; keys of one folder must be adjacent.
        prefix: The folder, ending in a slash, or an empty string for the root.
        recursive: Whether to yield the contents of subfolders.
    """
    found = tree_of(keys, prefix)
    return found if recursive else (entry for entry in found if "/" not in entry[0])
