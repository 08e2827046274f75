"""Progress on a terminal, in a file, and of tasks in processes."""

import importlib
import io
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine_utils import (
    ProgressBar,
    track_iter_progress,
    track_parallel_progress,
    track_progress,
)


class Terminal(io.StringIO):
    """A file that reports to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the tasks, which the worker processes can import."""
    folder = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(folder)
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
    yield importlib.import_module("progress_tasks")
    sys.modules.pop("progress_tasks")


def test_progress_bar_in_a_file_writes_at_most_20_lines() -> None:
    file = io.StringIO()
    bar = ProgressBar(1000, file=file)
    for _ in range(1000):
        bar.update()
    lines = file.getvalue().splitlines()
    assert len(lines) == 20
    assert lines[-1].startswith("[1000/1000] ")
    assert lines[-1].endswith("ETA: 0s")
    assert bar.completed == 1000


def test_progress_bar_on_a_terminal_uses_tqdm() -> None:
    pytest.importorskip("tqdm")
    file = Terminal()
    bar = ProgressBar(4, bar_width=10, file=file)
    bar.update(3)
    bar.update()
    assert "100%|##########| 4/4" in file.getvalue()


def test_progress_bar_without_tqdm_writes_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    file = Terminal()
    bar = ProgressBar(2, file=file)
    bar.update(2)
    assert file.getvalue().startswith("[2/2] ")


def test_progress_bar_in_a_notebook_without_ipywidgets_writes_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    file = io.StringIO()
    ProgressBar(1, file=file).update()
    assert file.getvalue().startswith("[1/1] ")


@pytest.mark.parametrize("imported", ["ipykernel", "IPython"])
def test_progress_bar_beside_a_library_of_notebooks_writes_to_its_file(
    monkeypatch: pytest.MonkeyPatch, imported: str
) -> None:
    monkeypatch.setitem(sys.modules, imported, SimpleNamespace(get_ipython=lambda: None))
    file = io.StringIO()
    ProgressBar(1, file=file).update()
    assert file.getvalue().startswith("[1/1] ")


def test_progress_bar_without_task_num_counts() -> None:
    file = io.StringIO()
    bar = ProgressBar(file=file)
    bar.update()
    bar.update(2)
    bar.close()
    assert "completed: 3, " in file.getvalue()


def test_progress_bar_starts_by_start_or_first_update() -> None:
    file = Terminal()
    bar = ProgressBar(2, start=False, file=file)
    assert file.getvalue() == ""
    bar.start()
    bar.update()
    bar.start()
    assert bar.completed == 0
    assert bar.terminal_width > 0
    bar.close()


def test_progress_bar_ignores_updates_beyond_task_num() -> None:
    file = io.StringIO()
    bar = ProgressBar(2, file=file)
    bar.update(2)
    bar.update()
    assert [line.split()[0] for line in file.getvalue().splitlines()] == ["[2/2]"]
    assert bar.completed == 3


def test_progress_bar_update_below_1_raises() -> None:
    with pytest.raises(ValueError, match="num_tasks must be >= 1, got 0"):
        ProgressBar(1, file=io.StringIO()).update(0)


def test_progress_bar_writes_to_standard_output_by_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ProgressBar(1).update()
    assert "[1/1]" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["list", "tuple", "counted", "generator"])
def test_track_progress_returns_the_results(given: str) -> None:
    tasks: Any = {
        "list": [1, 2, 3],
        "tuple": (1, 2, 3),
        "counted": ([1, 2, 3], 3),
        "generator": ((n for n in (1, 2, 3)), 3),
    }[given]
    file = io.StringIO()
    assert track_progress(pow, tasks, file=file, exp=2) == [1, 4, 9]
    assert "[3/3]" in file.getvalue()


def test_track_iter_progress_counts_a_task_when_it_is_done() -> None:
    file = io.StringIO()
    seen = []
    for task in track_iter_progress(["a", "b"], file=file):
        seen.append((task, file.getvalue().count("\n")))
    assert seen == [("a", 0), ("b", 1)]


@pytest.mark.parametrize("tasks", [3, iter([1])], ids=["number", "iterator"])
def test_track_progress_without_the_number_of_tasks_raises(tasks: Any) -> None:
    with pytest.raises(
        TypeError, match="tasks must be a list, or a tuple of the tasks and their num"
    ):
        track_progress(abs, tasks, file=io.StringIO())


@pytest.mark.parametrize("chunksize", [1, 4])
def test_parallel_results_are_in_order(tasks: Any, chunksize: int, tmp_path: Path) -> None:
    file = io.StringIO()
    work = [(number, tmp_path) for number in range(10)]
    results = track_parallel_progress(
        tasks.first_waits_for_last, work, nproc=2, chunksize=chunksize, file=file
    )
    assert results == list(range(10))
    assert "[10/10]" in file.getvalue()


def test_parallel_results_without_keep_order_are_in_order_of_completion(
    tasks: Any, tmp_path: Path
) -> None:
    # Enough tasks that the last chunk is submitted after others are done.
    work = [(number, tmp_path) for number in range(10)]
    results = track_parallel_progress(
        tasks.first_waits_for_last, work, nproc=2, keep_order=False, file=io.StringIO()
    )
    assert sorted(results) == list(range(10))
    assert results[0] != 0


def test_parallel_tasks_are_read_lazily(tasks: Any) -> None:
    read = 0

    def source() -> Iterator[int]:
        nonlocal read
        for number in range(1000):
            read += 1
            yield number

    with pytest.raises(ValueError, match="three is wrong"):
        track_parallel_progress(tasks.fail_at_three, (source(), 1000), nproc=1, file=io.StringIO())
    assert read < 100


def test_parallel_initializer_runs_in_each_process(tasks: Any) -> None:
    results = track_parallel_progress(
        tasks.started_with,
        ([1, 2], 2),
        nproc=2,
        initializer=tasks.start,
        initargs=("a", 1),
        file=io.StringIO(),
    )
    assert results == [(1, ["a", 1]), (2, ["a", 1])]
    pids = track_parallel_progress(tasks.process_id, range(20), nproc=2, file=io.StringIO())
    assert os.getpid() not in pids


def test_parallel_progress_with_skip_first_excludes_the_first_tasks(tasks: Any) -> None:
    file = io.StringIO()
    results = track_parallel_progress(
        tasks.square, range(8), nproc=2, chunksize=2, skip_first=True, file=file
    )
    assert results == [n * n for n in range(8)]
    assert file.getvalue().splitlines()[-1].startswith("[4/4]")


def test_parallel_error_has_the_traceback_of_its_process_and_the_task(tasks: Any) -> None:
    with pytest.raises(ValueError, match="three is wrong") as raised:
        track_parallel_progress(
            tasks.fail_at_three, range(100), nproc=2, chunksize=2, file=io.StringIO()
        )
    assert raised.value.__notes__ == ["raised for task 3: 3"]
    assert 'raise ValueError("three is wrong")' in str(raised.value.__cause__)


def test_parallel_error_that_cannot_be_pickled_is_raised_as_text(tasks: Any) -> None:
    with pytest.raises(RuntimeError, match="LocalError: 0 and 0"):
        track_parallel_progress(tasks.fail_oddly, range(3), nproc=1, file=io.StringIO())


def test_parallel_errors_raise_that_of_the_first_task(tasks: Any) -> None:
    def read_slowly() -> Iterator[int]:
        for number in range(4):
            time.sleep(0.2)  # the process has raised some of them before the parent looks
            yield number

    with pytest.raises(RuntimeError, match="raised for task 0: 0"):
        track_parallel_progress(tasks.fail_oddly, (read_slowly(), 4), nproc=1, file=io.StringIO())


@pytest.mark.parametrize("how", ["dies", "does not start"])
def test_parallel_process_that_dies_raises(
    tasks: Any, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    function, initializer = (
        (tasks.die, None) if how == "dies" else (tasks.square, tasks.fail_to_start)
    )
    with pytest.raises(BrokenProcessPool):
        track_parallel_progress(
            function, range(3), nproc=1, initializer=initializer, file=io.StringIO()
        )


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [({"nproc": 0}, ValueError), ({"nproc": 1, "initargs": [1]}, TypeError)],
    ids=["no process", "initargs"],
)
def test_parallel_with_wrong_arguments_raises(
    kwargs: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        track_parallel_progress(abs, [1], file=io.StringIO(), **kwargs)
