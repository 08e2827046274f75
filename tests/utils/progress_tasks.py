"""Tasks for the processes of the progress tests, which import them by name."""

import os
import time
from pathlib import Path
from typing import Any


class LocalError(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


started: list[Any] = []


def start(*values: Any) -> None:
    started.extend(values)


def fail_to_start() -> None:
    raise RuntimeError("no start")


def square(number: int) -> int:
    return number * number


def first_waits_for_last(task: tuple[int, Path]) -> int:
    """Return the number of the task; 0 waits until another process has done 9."""
    number, folder = task
    if number == 9:
        (folder / "last").touch()
    for _ in range(6000 if number == 0 else 0):
        if (folder / "last").exists():
            break
        time.sleep(0.01)
    return number


def started_with(number: int) -> tuple[int, list[Any]]:
    return number, started


def process_id(number: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("three is wrong")
    return number


def fail_oddly(number: int) -> int:
    raise LocalError(number, number)


def die(number: int) -> None:
    os._exit(1)
