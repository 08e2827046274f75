"""What the processes of the progress tests do; they import it by name."""

import os
import time
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


def slow_first(number: int) -> int:
    time.sleep(0.3 if number == 0 else 0)
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
