"""Listing the keys of a bucket as if they were files in folders."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engine_fileio.backends._keys import Entry, tree_of

# With more folders than this, a request for each takes longer than pages of all keys in a row.
_MOST_APART = 64


def all_keys(client: Any, bucket: str, prefix: str) -> Iterator[str]:
    """Yield every key that starts with ``prefix``."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for found in page.get("Contents", ()):
            yield found["Key"]


def folder_entries(client: Any, bucket: str, prefix: str) -> Iterator[Entry]:
    """Yield what lies directly in a folder."""
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, Delimiter="/"
    )
    for page in pages:
        for common in page.get("CommonPrefixes", ()):
            yield common["Prefix"][len(prefix) :].rstrip("/"), True
        for found in page.get("Contents", ()):
            if found["Key"] != prefix:  # a console marks a folder by an empty object of its name
                yield found["Key"][len(prefix) :], False


def tree_entries(client: Any, bucket: str, prefix: str, *, workers: int) -> Iterator[Entry]:
    """Yield all that lies in a folder and below, asking for its folders at once."""
    folders: list[str] = []
    files: list[str] = []
    for name, is_folder in folder_entries(client, bucket, prefix):
        (folders if is_folder else files).append(name)
        if len(folders) > _MOST_APART:
            yield from tree_of(all_keys(client, bucket, prefix), prefix)
            return
    yield from ((name, False) for name in files)

    def keys(folder: str) -> list[str]:
        return list(all_keys(client, bucket, f"{prefix}{folder}/"))

    with ThreadPoolExecutor(workers, thread_name_prefix="engine-fileio") as pool:
        for found in pool.map(keys, folders):
            yield from tree_of(found, prefix)
