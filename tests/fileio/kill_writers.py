"""Kill processes that rewrite one file, at random instants. Not a test module.

Arguments: the file and how many writers to kill. Prints how many times the file was broken, how
many different contents it had, and how many temporary files the killed writers left.
"""

import itertools
import os
import random
import signal
import sys
import time
from pathlib import Path

from engine_fileio import atomic_write

SIZE = 300_000


def write_for_ever(path: Path, first: int, done: int) -> None:
    """Rewrite ``path`` with ``SIZE`` equal bytes, and report each time to the pipe ``done``."""
    for number in itertools.count(first):
        with atomic_write(path) as file:
            for _ in range(30):
                file.write(bytes([number % 251]) * (SIZE // 30))
        os.write(done, b".")


def kill_one(path: Path, number: int) -> None:
    """Start a writer, and kill it at most 10 ms after its first file exists."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        write_for_ever(path, number * 37, writing)
    os.read(reading, 1)
    time.sleep(random.random() / 100)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)


if __name__ == "__main__":
    target, rounds = Path(sys.argv[1]), int(sys.argv[2])
    target.write_bytes(bytes(SIZE))
    broken, seen = 0, set()
    for number in range(rounds):
        kill_one(target, number)
        content = target.read_bytes()
        broken += content != content[:1] * SIZE
        seen.add(content[:1])
    left = [path for path in target.parent.iterdir() if path != target]
    print(broken, len(seen), len(left))
