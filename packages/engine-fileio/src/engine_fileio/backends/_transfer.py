"""Many small pieces of storage work at once, with progress told in the caller's thread."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

Progress = Callable[[int, int | None], None]
"""Called with the number of items done and of all items (None while that is unknown)."""


def run_parallel(
    work: Callable[[T], object],
    items: Iterable[T],
    *,
    workers: int,
    progress: Progress | None = None,
) -> None:
    """Call ``work`` on every item from a pool of threads, and wait for all.

    Args:
        work: What to do with one item; must be safe to call from several threads.
        items: The items, each handled once.
        workers: Number of threads.
        progress: Called here, in the caller's thread, after each finished item.

    Raises:
        Exception: The first error of ``work``; items that had not begun are dropped.
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
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def counted(items: Iterable[str], progress: Progress) -> Iterator[str]:
    """Pass ``items`` on, telling ``progress`` how many have been seen."""
    for done, item in enumerate(items, start=1):
        progress(done, None)
        yield item
