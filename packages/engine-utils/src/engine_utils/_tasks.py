"""Run tasks, in this process or in several, with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from engine_utils._progress import ProgressBar

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

_T = TypeVar("_T")
_R = TypeVar("_R")
_Tasks = Sequence[_T] | tuple[Iterable[_T], int]

# Chunks submitted ahead per process. More would read too far ahead in an iterable of tasks; fewer
# would leave processes idle.
AHEAD = 4


def track_progress(
    func: Callable[..., _R],
    tasks: _Tasks[Any],
    bar_width: int = 50,
    file: TextIO | None = None,
    **kwargs: Any,
) -> list[_R]:
    """Call a function for each task, one after the other, and show the progress.

    Args:
        func: Called with a task.
        tasks: A list of tasks, or a tuple of the tasks and their number.
        bar_width: The width of the bar, in characters.
        file: The output of the progress; by default the standard output.
        **kwargs: Passed to ``func``.

    Returns:
        The results of ``func``, in the order of the tasks.

    Raises:
        TypeError: ``tasks`` is of another type.

    Example:
        >>> import io
        >>> track_progress(abs, [-1, -2], file=io.StringIO())
        [1, 2]
    """
    return [func(task, **kwargs) for task in track_iter_progress(tasks, bar_width, file)]


def track_iter_progress(
    tasks: _Tasks[_T], bar_width: int = 50, file: TextIO | None = None
) -> Iterator[_T]:
    """Yield the tasks and show the progress: a task is done when the next one is requested.

    Args:
        tasks: A list of tasks, or a tuple of the tasks and their number.
        bar_width: The width of the bar, in characters.
        file: The output of the progress; by default the standard output.

    Raises:
        TypeError: ``tasks`` is of another type.
    """
    items, number = _counted(tasks)
    bar = ProgressBar(number, bar_width, file=file)
    try:
        for task in items:
            yield task
            bar.update()
    finally:
        bar.close()


def track_parallel_progress(
    func: Callable[[Any], _R],
    tasks: _Tasks[Any],
    nproc: int,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[Any, ...] | None = None,
    bar_width: int = 50,
    chunksize: int = 1,
    skip_first: bool = False,
    keep_order: bool = True,
    file: TextIO | None = None,
) -> list[_R]:
    """Call a function for each task in several processes, and show the progress.

    Args:
        func: Called with a task; a function that another process can import.
        tasks: A list of tasks, or a tuple of the tasks and their number, read as needed.
        nproc: The number of processes.
        initializer: Called in each process before its first task.
        initargs: The arguments of ``initializer``.
        bar_width: The width of the bar, in characters.
        chunksize: The number of tasks that a process gets at a time.
        skip_first: Exclude the first tasks of each process from the progress, as they may take
            longer.
        keep_order: Return the results in the order of the tasks; False for the order of completion.
        file: The output of the progress; by default the standard output.

    Returns:
        The results of ``func``.

    Raises:
        TypeError: ``tasks`` or ``initargs`` is of another type.
        ValueError: ``nproc`` or ``chunksize`` is less than 1.
        concurrent.futures.process.BrokenProcessPool: A process died, or ``initializer`` failed.
        Exception: The error of ``func``, with its traceback in the worker and the task. The other
            tasks are canceled.
    """
    from concurrent.futures import ProcessPoolExecutor  # slow to import, and rarely needed

    if nproc < 1 or chunksize < 1:
        raise ValueError(f"nproc and chunksize must be >= 1, got {nproc} and {chunksize}")
    if initargs is not None and not isinstance(initargs, tuple):
        raise TypeError(f"initargs must be a tuple, got {type(initargs).__name__}")
    items, number = _counted(tasks)
    left_out = min(nproc * chunksize, number) if skip_first else 0
    bar = ProgressBar(number - left_out, bar_width, start=False, file=file)
    done: list[tuple[int, list[_R]]] = []
    count = 0
    with ProcessPoolExecutor(nproc, initializer=initializer, initargs=initargs or ()) as pool:
        try:
            for index, results in chunks_done(pool, func, items, chunksize, AHEAD * nproc):
                done.append((index, results))
                # The bar does not count the first `left_out` tasks, whatever chunk they are in.
                before, count = max(count, left_out), count + len(results)
                if count > before:
                    bar.update(count - before)
        finally:
            bar.close()
    if keep_order:
        done.sort(key=lambda chunk: chunk[0])
    return [result for _, results in done for result in results]


def chunks_done(
    pool: ProcessPoolExecutor,
    func: Callable[[Any], _R],
    items: Iterable[Any],
    chunksize: int,
    ahead: int,
) -> Iterator[tuple[int, list[_R]]]:
    """Yield the index and the results of each chunk when it is done."""
    from concurrent.futures import FIRST_COMPLETED, wait

    source = iter(items)
    # An empty chunk ends the iterator: there are no more items.
    chunks = enumerate(iter(lambda: list(islice(source, chunksize)), []))
    running: dict[Future[list[_R]], int] = {}
    try:
        while True:
            for index, chunk in islice(chunks, ahead - len(running)):
                running[pool.submit(_run_chunk, func, chunk, index * chunksize)] = index
            if not running:
                return
            done = wait(running, return_when=FIRST_COMPLETED).done
            # In the order of the tasks: if two tasks fail at once, the error of the first one is
            # raised.
            for future in sorted(done, key=running.__getitem__):
                yield running.pop(future), future.result()
    finally:
        # Not the pool's shutdown(cancel_futures=True), which can wait forever in Python 3.11.
        for future in running:
            future.cancel()


@contextmanager
def noting_task(index: int, task: Any) -> Iterator[None]:
    """Add the task to an error that is raised within the block."""
    try:
        yield
    except Exception as error:
        error.add_note(f"raised for task {index}: {task!r:.200}")
        raise


def _run_chunk(func: Callable[[Any], _R], chunk: list[Any], first: int) -> list[_R]:
    results = []
    for offset, task in enumerate(chunk):
        try:
            with noting_task(first + offset, task):
                results.append(func(task))
        except Exception as error:
            if not _can_be_pickled(error):
                import traceback

                text = "".join(traceback.format_exception(error))
                raise RuntimeError(f"a task failed in its process:\n{text}") from None
            raise
    return results


def _can_be_pickled(error: Exception) -> bool:
    """Return whether an error can be sent to the parent process.

    An error that cannot be unpickled there would break the pool.
    """
    import pickle  # slow to import; the pool has imported it already

    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return False
    return True


def _counted(tasks: _Tasks[_T]) -> tuple[Iterable[_T], int]:
    match tasks:
        case (Iterable() as items, int(number)):
            return items, number
        case Sized() if isinstance(tasks, Iterable):
            return tasks, len(tasks)
        case _:
            raise TypeError(
                "tasks must be a list, or a tuple of the tasks and their number, "
                f"got {type(tasks).__name__}"
            )
