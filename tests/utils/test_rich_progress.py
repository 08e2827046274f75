"""Tasks with a progress bar of rich."""

import importlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from engine_utils import MissingExtraError, track_progress_rich


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the tasks, which the worker processes can import."""
    folder = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(folder)
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
    yield importlib.import_module("progress_tasks")
    sys.modules.pop("progress_tasks")


@pytest.mark.parametrize("nproc", [1, 2])
@pytest.mark.parametrize("task_num", [None, 7], ids=["endless", "counted"])
def test_results_are_in_the_order_of_the_tasks(
    tasks: Any, capsys: pytest.CaptureFixture[str], nproc: int, task_num: int | None
) -> None:
    given = (number for number in range(7))

    results = track_progress_rich(
        tasks.square, given, task_num, nproc, chunksize=2, description="Squares", color="red"
    )

    assert results == [0, 1, 4, 9, 16, 25, 36]
    printed = capsys.readouterr().out
    assert "Squares" in printed
    assert ("7/7" if task_num else "7/?") in printed


def test_task_is_the_arguments_of_the_function() -> None:
    assert track_progress_rich(int, [("11", 2), "11"]) == [3, 11]
    assert track_progress_rich(dict, [{"a": 1}, ([("b", 2)],)]) == [{"a": 1}, {"b": 2}]


def test_function_without_arguments_is_called_task_num_times() -> None:
    assert track_progress_rich(list, task_num=3) == [[], [], []]
    assert track_progress_rich(list, []) == []


def test_tasks_run_in_other_processes(tasks: Any) -> None:
    processes = set(track_progress_rich(tasks.process_id, range(8), nproc=2))

    assert os.getpid() not in processes
    assert len(processes) <= 2


@pytest.mark.parametrize("nproc", [1, 2])
def test_error_of_a_task_is_raised_with_the_task(tasks: Any, nproc: int) -> None:
    with pytest.raises(ValueError, match="three is wrong") as caught:
        track_progress_rich(tasks.fail_at_three, range(5), nproc=nproc)

    assert "raised for task 3: 3" in caught.value.__notes__


def test_process_that_dies_raises(tasks: Any) -> None:
    with pytest.raises(BrokenProcessPool):
        track_progress_rich(tasks.die, [1, 2], nproc=2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"func": 3, "tasks": [1]}, TypeError, "func must be callable, got 3"),
        ({"tasks": 3}, TypeError, "tasks must be iterable, got int"),
        ({}, ValueError, "task_num must be given without tasks"),
        ({"tasks": [1], "task_num": 2}, ValueError, "task_num must be 1, the number of tasks"),
        ({"task_num": -1}, ValueError, "task_num must be >= 0, got -1"),
        ({"tasks": [1], "nproc": 0}, ValueError, "nproc and chunksize must be >= 1, got 0 and 1"),
        ({"tasks": [1], "color": "blu"}, ValueError, "color must be a style of rich.*got 'blu'"),
    ],
    ids=["func", "tasks", "none", "number", "negative", "nproc", "color"],
)
def test_wrong_argument_raises(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        track_progress_rich(**{"func": abs, **arguments})


def test_missing_rich_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rich.progress", raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)

    with pytest.raises(MissingExtraError, match=r'run: pip install "engine-utils\[rich\]"'):
        track_progress_rich(abs, [1])
