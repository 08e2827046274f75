"""Groups that lose one rank, which the others must name; see ranks.py."""

import itertools
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as torch_dist

import engine_dist as dist

TIMEOUT = 16.0
LONG = 200_000  # too long for the first message of a collective


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


Act = Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """The rank that is lost, how, and the work of the others meanwhile."""

    missing: int
    fail: Act
    work: Act = reduce
    size: int = 3
    tcp: bool = False
    """Whether rank 0 holds the store, or a file."""
    joins: bool = True
    """Whether the missing rank joins the group first."""
    heartbeat: bool = True
    message: int | None = None
    """The message of the collective at which it fails; None for between collectives."""


WAYS = {
    "error": Case(missing=2, fail=die_of_error),
    "killed": Case(missing=1, fail=be_killed, work=collect),
    "left": Case(missing=2, fail=leave, work=step_backward),
    "late": Case(missing=1, fail=be_late),
    "frozen": Case(missing=1, fail=freeze),
    "outside": Case(missing=2, fail=die_of_error, work=reduce_around_the_package),
    "first": Case(missing=0, fail=be_killed),
    "store": Case(missing=0, fail=be_killed, tcp=True),
    "store-error": Case(missing=0, fail=die_of_error, tcp=True),
    "store-frozen": Case(missing=0, fail=freeze, tcp=True),
    "beside-store": Case(missing=1, fail=be_killed, tcp=True),
    "absent": Case(missing=1, fail=be_late, joins=False),
    "absent-beside-store": Case(missing=2, fail=be_late, joins=False, tcp=True),
    "absent-with-store": Case(missing=0, fail=be_late, joins=False, tcp=True),
    "silent-error": Case(missing=2, fail=die_of_error, heartbeat=False),
    "silent-killed": Case(missing=1, fail=be_killed, work=collect, heartbeat=False),
    "silent-absent": Case(missing=1, fail=be_late, joins=False, heartbeat=False),
    "silent-store": Case(missing=0, fail=be_killed, tcp=True, heartbeat=False),
}
COLLECTIVES: dict[str, tuple[int, Act]] = {  # how many messages each sends, and the call
    "barrier": (1, dist.barrier),
    "all_reduce": (2, lambda: dist.all_reduce([torch.ones(LONG), torch.arange(3)])),
    "all_reduce_dict": (2, lambda: dist.all_reduce_dict({"loss": torch.ones(LONG)})),
    "all_reduce_params": (2, lambda: dist.all_reduce_params([torch.ones(LONG)] * 2, False)),
    "all_gather": (2, lambda: dist.all_gather(torch.ones(LONG))),
    "gather": (2, lambda: dist.gather(torch.ones(LONG))),
    "broadcast": (2, lambda: dist.broadcast([torch.ones(LONG), torch.arange(3)], 1)),
    "sync_random_seed": (1, dist.sync_random_seed),
    "all_gather_object": (2, lambda: dist.all_gather_object("x" * LONG)),
    "gather_object": (2, lambda: dist.gather_object("x" * LONG)),
    "broadcast_object_list": (2, lambda: dist.broadcast_object_list(["x" * LONG], 1)),
    "collect_results": (2, lambda: dist.collect_results(["x" * LONG], 2)),
    "new_group": (1, lambda: dist.init_local_group(0, dist.get_world_size())),
}
# In the middle of each collective that sends several messages. The others wait for rank 1.
CASES = WAYS | {
    name: Case(missing=1, fail=be_killed, work=work, size=2, message=message)
    for name, (message, work) in COLLECTIVES.items()
}


def fail_at_message(number: int, fail: Act) -> None:
    """Make this process fail when it sends its n-th message from now on."""
    numbers = itertools.count(1)

    def failing(send: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(numbers) == number:
                fail()
            return send(*args, **kwargs)

        return call

    for name in ("all_gather", "all_reduce", "barrier", "broadcast", "gather", "new_group"):
        setattr(torch_dist, name, failing(getattr(torch_dist, name)))


def act(name: str, rank: int, store: Path, port: int) -> None:
    """Run one rank of a case."""
    case = CASES[name]
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(case.size), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    is_lost = rank == case.missing
    if is_lost and not case.joins:
        case.fail()
    options: dict[str, Any] = {} if case.tcp else {"init_method": f"file://{store}"}
    dist.init_dist("pytorch", "gloo", heartbeat=case.heartbeat, timeout=TIMEOUT, **options)
    dist.all_reduce(torch.ones(1))
    if is_lost and case.message is None:
        case.fail()
    elif is_lost:
        fail_at_message(case.message or 1, case.fail)
    for _ in range(3):  # a sender may finish its first collective before it notices the loss
        case.work()
