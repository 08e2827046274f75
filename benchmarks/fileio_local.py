"""Measure the cost of an atomic local file: engine-fileio against plain ``open``.

Reading may cost ``open`` and a dispatch. Writing may cost what flushing a file to disk costs. Both
baselines are measured in the same run.

    python benchmarks/fileio_local.py [--rounds 2000]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import engine_fileio as fileio

DATA = os.urandom(20_000)
READ_BUDGET = 10e-6  # seconds on top of open and read
WRITE_BUDGET = 3.0  # times a plain write with fsync, as the folder is flushed too


def plain_read(path: str) -> bytes:
    """Read a file with ``open``."""
    with open(path, "rb") as file:
        return file.read()


def plain_durable_write(path: str) -> None:
    """Overwrite a file in place and flush it; readers may see a part of it."""
    with open(path, "wb") as file:
        file.write(DATA)
        file.flush()
        os.fsync(file.fileno())


def typical(action: Callable[[], object], rounds: int) -> float:
    """Return the median time of one call, in seconds."""
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def main() -> None:
    """Print one line for reading and one for writing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "f")
        plain_durable_write(path)
        base = typical(lambda: plain_read(path), rounds)
        ours = typical(lambda: fileio.get(path), rounds)
        verdict = "ok" if ours - base <= READ_BUDGET else "OVER BUDGET"
        print(f"get:  {ours * 1e6:.1f} µs, open and read {base * 1e6:.1f} µs,")
        print(f"      {(ours - base) * 1e6:+.1f} µs (budget {READ_BUDGET * 1e6:.0f} µs) {verdict}")
        base = typical(lambda: plain_durable_write(path), rounds // 10)
        ours = typical(lambda: fileio.put(DATA, path), rounds // 10)
        verdict = "ok" if ours / base <= WRITE_BUDGET else "OVER BUDGET"
        print(f"put:  {ours * 1e6:.0f} µs, write and fsync in place {base * 1e6:.0f} µs,")
        print(f"      {ours / base:.2f} times (budget {WRITE_BUDGET}) {verdict}")


if __name__ == "__main__":
    main()
