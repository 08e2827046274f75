"""Runs all process groups of the tests of engine-dist.

``python ranks.py groups|failures FOLDER``

Torch is imported once. Each rank is a process that is forked from this one and reports through
files. ``groups`` runs the checks in groups of each size and the launches, all at the same time.
"""

import contextlib
import functools
import importlib
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

CHECKS = ("reduce_checks", "gather_checks", "object_checks")
HUNG = "hung"


def start(output: Path, run: Callable[[], None]) -> int:
    """Fork a process that runs a function and then exits like a script; return its id."""
    number = os.fork()
    if number:
        return number
    target = os.open(output, os.O_WRONLY | os.O_CREAT)
    os.dup2(target, 1)
    os.dup2(target, 2)
    run()
    sys.exit(0)


def wait(numbers: dict[str, int], seconds: float) -> dict[str, int | str]:
    """Wait for processes, and kill those that have not ended in time."""
    ended: dict[str, int | str] = {}
    deadline = time.monotonic() + seconds
    while len(ended) < len(numbers) and time.monotonic() < deadline:
        for name, number in numbers.items():
            if name not in ended and (found := os.waitpid(number, os.WNOHANG))[0]:
                ended[name] = os.waitstatus_to_exitcode(found[1])
        time.sleep(0.02)
    for name, number in numbers.items():
        if name not in ended:
            ended[name] = HUNG
            os.kill(number, 9)
            os.waitpid(number, 0)
    return ended


def write(folder: Path, ended: dict[str, int | str]) -> None:
    report = {
        name: {"end": end, "output": (folder / f"{name}.out").read_text(errors="replace")}
        for name, end in ended.items()
    }
    (folder / "report.json").write_text(json.dumps(report))


def check(rank: int, size: int, folder: Path) -> None:
    """Run one rank of a group: run every check, and write the results."""
    dist = importlib.import_module("engine_dist")
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    # gloo also where there is a GPU, which nccl would not let several ranks share
    dist.init_dist("pytorch", "gloo", init_method=f"file://{folder / 'store'}", timeout=60)
    report: dict[str, str] = {}
    for module in CHECKS:
        for name, function in list(vars(importlib.import_module(module)).items()):
            if not name.startswith("check_"):
                continue
            try:
                function(rank, size, folder)
                report[name] = ""
            except Exception:
                report[name] = traceback.format_exc()
    dist.barrier()
    (folder / f"report_{rank}.json").write_text(json.dumps(report))
    importlib.import_module("torch").distributed.destroy_process_group()


def start_checks(folder: Path) -> dict[str, int]:
    for module in CHECKS:  # once, before the ranks are forked
        importlib.import_module(module)
    numbers = {}
    for size in (1, 2, 4):
        home = folder / str(size)
        home.mkdir()
        for rank in range(size):
            run = functools.partial(check, rank, size, home)
            numbers[f"{size}_{rank}"] = start(folder / f"{size}_{rank}.out", run)
    return numbers


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def run_failures(folder: Path) -> None:
    failures = importlib.import_module("failures")
    survivors: dict[str, int] = {}
    missing: dict[str, int] = {}
    ports = free_ports(len(failures.CASES))
    for port, (name, case) in zip(ports, failures.CASES.items(), strict=True):
        for rank in range(case.size):
            run = functools.partial(failures.act, name, rank, folder / name, port)
            number = start(folder / f"{name}_{rank}.out", run)
            (missing if rank == case.missing else survivors)[f"{name}_{rank}"] = number
    # Enough for a busy machine; a rank that hangs waits 300 s for the late one.
    ended = wait(survivors, 8 * failures.TIMEOUT)
    write(folder, ended | wait(missing, 1))


def start_launches(folder: Path) -> dict[str, int]:
    launches = importlib.import_module("launches")
    numbers = {}
    for name, places in launches.make_cases(free_ports(len(launches.NAMES))).items():
        for rank, (launcher, environ) in enumerate(places):
            run = functools.partial(launches.act, launcher, environ, folder / f"{name}_{rank}.json")
            numbers[f"{name}_{rank}"] = start(folder / f"{name}_{rank}.out", run)
    return numbers


def run_groups(folder: Path) -> None:
    write(folder, wait(start_checks(folder) | start_launches(folder), 240))


if __name__ == "__main__":
    runs = {"groups": run_groups, "failures": run_failures}
    runs[sys.argv[1]](Path(sys.argv[2]))
