"""Run tasks, in this process or in several, with a progress bar of rich."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from functools import partial
from itertools import repeat
from typing import Any, TypeVar

from engine_utils._extras import import_extra
from engine_utils._tasks import AHEAD, chunks_done, noting_task

_R = TypeVar("_R")

_REFRESH = 0.1  # seconds between two drawings of the bar


def track_progress_rich(
    func: Callable[..., _R],
    tasks: Iterable[Any] = (),
    task_num: int | None = None,
    nproc: int = 1,
    chunksize: int = 1,
    description: str = "Processing",
    color: str = "blue",
) -> list[_R]:
    """Call a function for each task, in several processes if asked, with a progress bar of rich.

    The extra ``rich`` is required. A task that is a tuple has the positional arguments of ``func``,
    one that is a dict the named ones; any other task is the only argument.

    Args:
        func: The function; for several processes, one that another process can import.
        tasks: The tasks, also as a generator, which is read as needed. Without tasks, ``func`` is
            called ``task_num`` times without arguments.
        task_num: The number of tasks, if ``tasks`` has no length. Without it, the bar shows no
            remaining time.
        nproc: The number of processes; 1 for this process.
        chunksize: The number of tasks that a process gets at a time.
        description: The text before the bar.
        color: The color of the bar, a style of rich.

    Returns:
        The results of ``func``, in the order of the tasks.

    Raises:
        ImportError: The library rich is not installed.
        TypeError: ``func`` is not callable, or ``tasks`` is not iterable.
        ValueError: A number or ``color`` is invalid, or neither tasks nor their number is given.
        Exception: The error of ``func``, with the task. The other tasks are canceled.

    Example:
        >>> track_progress_rich(pow, [(2, 3), (3, 2)], description="Powers")
        Powers ...
        [8, 9]
    """
    items, number = _checked(func, tasks, task_num)
    if nproc < 1 or chunksize < 1:
        raise ValueError(f"nproc and chunksize must be >= 1, got {nproc} and {chunksize}")
    call = partial(_call, func)
    run = _in_processes(call, items, nproc, chunksize) if nproc > 1 else _here(call, items)
    done: list[tuple[int, list[_R]]] = []
    # No thread draws the bar, and outside of this process nothing prints through it: a process
    # that is forked while a thread holds a lock would wait for that lock forever.
    with _bar(color, redirect=nproc == 1) as bar:
        shown = bar.add_task(description, total=number)
        drawn = time.monotonic()
        for index, results in run:
            done.append((index, results))
            bar.advance(shown, len(results))
            if time.monotonic() - drawn > _REFRESH:
                bar.refresh()
                drawn = time.monotonic()
    done.sort(key=lambda chunk: chunk[0])
    return [result for _, results in done for result in results]


def _checked(
    func: Callable[..., Any], tasks: Iterable[Any], task_num: int | None
) -> tuple[Iterable[Any], int | None]:
    """Return the tasks and their number, or None if it is unknown."""
    if not callable(func):
        raise TypeError(f"func must be callable, got {func!r}")
    if not isinstance(tasks, Iterable):
        raise TypeError(f"tasks must be iterable, got {type(tasks).__name__}")
    if task_num is not None and task_num < 0:
        raise ValueError(f"task_num must be >= 0, got {task_num}")
    if not isinstance(tasks, Sized):
        return tasks, task_num
    if isinstance(tasks, tuple) and not tasks:
        if task_num is None:
            raise ValueError("task_num must be given without tasks, got None; pass one of them")
        return repeat((), task_num), task_num
    if task_num not in (None, len(tasks)):
        raise ValueError(
            f"task_num must be {len(tasks)}, the number of tasks, got {task_num}; leave it out"
        )
    return tasks, len(tasks)


def _call(func: Callable[..., _R], task: Any) -> _R:
    if isinstance(task, tuple):
        return func(*task)
    return func(**task) if isinstance(task, dict) else func(task)


def _here(func: Callable[[Any], _R], items: Iterable[Any]) -> Iterator[tuple[int, list[_R]]]:
    for index, task in enumerate(items):
        with noting_task(index, task):
            result = func(task)
        yield index, [result]


def _in_processes(
    func: Callable[[Any], _R], items: Iterable[Any], nproc: int, chunksize: int
) -> Iterator[tuple[int, list[_R]]]:
    from concurrent.futures import ProcessPoolExecutor  # slow to import, and rarely needed

    with ProcessPoolExecutor(nproc) as pool:
        yield from chunks_done(pool, func, items, chunksize, AHEAD * nproc)


def _bar(color: str, *, redirect: bool) -> Any:
    """Return a bar of rich that nothing but its owner draws."""
    rich = import_extra(
        "rich.progress", install="engine-utils[rich]", purpose="track_progress_rich"
    )
    from rich.errors import StyleSyntaxError
    from rich.style import Style

    try:
        Style.parse(color)
    except StyleSyntaxError as error:
        raise ValueError(f"color must be a style of rich, such as 'blue', got {color!r}") from error
    return rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(complete_style=color, finished_style=color, pulse_style=color),
        rich.TaskProgressColumn(show_speed=True),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(elapsed_when_finished=True),
        auto_refresh=False,
        redirect_stdout=redirect,
        redirect_stderr=redirect,
    )
