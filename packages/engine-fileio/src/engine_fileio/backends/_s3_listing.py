"""List the keys of a bucket as files and folders."""

from collections.abc import Iterator
from typing import Any

from engine_fileio.backends._keys import Entry, tree_of

_PAGE = 1000  # keys, the maximum of one answer
_PAGES_IN_A_ROW = 3
# With more folders than this, one request per folder takes longer than pages of all keys.
_MOST_APART = 64


def all_keys(client: Any, bucket: str, prefix: str, *, after: str = "") -> Iterator[str]:
    """Yield every key that starts with ``prefix`` and sorts after ``after``."""
    for page in _pages(client, bucket, prefix, StartAfter=after):
        yield from _keys_of(page)


def folder_entries(client: Any, bucket: str, prefix: str) -> Iterator[Entry]:
    """Yield the files and folders directly in a folder."""
    for page in _pages(client, bucket, prefix, Delimiter="/"):
        for common in page.get("CommonPrefixes", ()):
            yield common["Prefix"][len(prefix) :].rstrip("/"), True
        for found in page.get("Contents", ()):
            # Web consoles create an empty object with the name of a folder: skip it.
            if found["Key"] != prefix:
                yield found["Key"][len(prefix) :], False


def tree_entries(client: Any, bucket: str, prefix: str, *, workers: int) -> Iterator[Entry]:
    """Yield all files and folders below a folder; a large tree is listed in parallel by folder."""
    return tree_of(_tree_keys(client, bucket, prefix, workers), prefix)


def _tree_keys(client: Any, bucket: str, prefix: str, workers: int) -> Iterator[str]:
    # Each page needs the last key of the page before, so one listing cannot run in parallel. After
    # a few pages, list the rest in parallel: one listing per folder.
    last = ""
    for number, page in enumerate(_pages(client, bucket, prefix), start=1):
        for last in _keys_of(page):
            yield last
        if number == _PAGES_IN_A_ROW and page["IsTruncated"]:
            break
    else:
        return
    top, slash, _ = last[len(prefix) :].partition("/")
    # Stores differ: a listing that starts inside a folder may or may not include that folder.
    started = f"{prefix}{top}/" if slash else ""
    folders = [started] if started else []
    files: list[str] = []
    for page in _pages(client, bucket, prefix, Delimiter="/", StartAfter=last):
        found = (common["Prefix"] for common in page.get("CommonPrefixes", ()))
        folders.extend(folder for folder in found if folder != started)
        files.extend(_keys_of(page))
        if len(folders) > _MOST_APART:
            yield from all_keys(client, bucket, prefix, after=last)
            return
    yield from files
    from concurrent.futures import ThreadPoolExecutor  # slow to import

    with ThreadPoolExecutor(workers, thread_name_prefix="engine-fileio") as pool:
        for keys in pool.map(
            lambda folder: list(all_keys(client, bucket, folder, after=last)), folders
        ):
            yield from keys


def _pages(client: Any, bucket: str, prefix: str, **options: str) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": _PAGE}, **options
    )
    return iter(pages)


def _keys_of(page: dict[str, Any]) -> Iterator[str]:
    return (found["Key"] for found in page.get("Contents", ()))
