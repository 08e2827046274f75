"""Process many files in parallel threads, and report progress in the caller's thread."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

Progress = Callable[[int, int | None], None]
"""A function, called with the number of finished items and of all items (None if unknown)."""


def run_parallel(
    work: Callable[[T], object],
    items: Iterable[T],
    *,
    workers: int,
    progress: Progress | None = None,
) -> None:
    """Call ``work`` on each item from a pool of threads, and wait for all.

    Args:
        work: The work on one item, called from several threads at once.
        items: The items.
        workers: Number of threads.
        progress: Called in the caller's thread after each finished item.

    Raises:
        Exception: The first error of ``work``. Items that have not started are canceled.
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed  # slow to import

    todo = list(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="engine-fileio") as pool:
        futures = [pool.submit(work, item) for item in todo]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                if progress is not None:
                    progress(done, len(todo))
        except BaseException:  # an interrupt too: else the pool finishes all items
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def counted(items: Iterable[str], progress: Progress) -> Iterator[str]:
    """Yield the items, and call ``progress`` with the number of items so far."""
    for done, item in enumerate(items, start=1):
        progress(done, None)
        yield item
