"""What ranks do where one of them goes missing, and the others must say who; see ranks.py."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as torch_dist

import engine_dist as dist

SIZE, TIMEOUT = 3, 8.0


def die_of_error() -> None:
    raise ValueError("bad sample 7")


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    raise SystemExit(0)


def be_late() -> None:
    time.sleep(300)


def freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def reduce() -> None:
    dist.all_reduce(torch.ones(3))


def reduce_around_the_package() -> None:
    torch_dist.all_reduce(torch.ones(3))


def step_backward() -> None:
    with dist.guard_collective("backward"):
        reduce_around_the_package()


def collect() -> None:
    dist.collect_results([1, 2], 6)


Act = Callable[[], None]
# For each case: the rank that goes missing, how it does, what the others do meanwhile.
CASES: dict[str, tuple[int, Act, Act]] = {
    "error": (2, die_of_error, reduce),
    "killed": (1, be_killed, collect),
    "left": (2, leave, step_backward),
    "late": (1, be_late, reduce),
    "frozen": (1, freeze, reduce),
    "outside": (2, die_of_error, reduce_around_the_package),
    "first": (0, be_killed, reduce),
    "store": (0, be_killed, reduce),
}


def act(case: str, rank: int, store: Path, port: int) -> None:
    """Be one rank of a case; the ``store`` case keeps its store in rank 0, the others in a file."""
    missing, fail, work = CASES[case]
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(SIZE), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    where = {} if case == "store" else {"init_method": f"file://{store}"}
    dist.init_dist("pytorch", "gloo", timeout=TIMEOUT, **where)
    dist.all_reduce(torch.ones(1))
    if rank == missing:
        fail()
    work()
