"""What the heartbeats of many ranks cost the process that holds the group's store: rank 0.

A real TCPStore on loopback serves the monitors of 256 simulated ranks, which a few processes play:
each rank has its own connection, and does once per second what the thread of a rank does. Measured
without the heartbeats, with them and again without: the processor time of the store, its requests,
and the time that another client waits for an ordinary operation. The clients share the machine with
the store, so that the waiting times are an upper bound.

    python benchmarks/dist_heartbeats.py [--ranks 256] [--processes 4] [--seconds 10] [--rounds 3]
"""

import argparse
import multiprocessing
import statistics
import time
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

from torch.distributed import TCPStore  # type: ignore[attr-defined]  # as engine_dist does

from engine_dist.watch._heartbeats import Heartbeats
from engine_dist.watch._monitor import MonitorTiming
from engine_dist.watch._status import StatusStore

TIMING = MonitorTiming.for_timeout(1800)  # the default of init_dist: one heartbeat per second
REQUESTS = 4  # set, add, get and check: what `Heartbeats.beat` sends
CONNECT = timedelta(seconds=60)


def connect(port: int) -> TCPStore:
    """Open a connection to the store."""
    return TCPStore("127.0.0.1", port, None, False, CONNECT, wait_for_workers=False)


def hold_store(pipe: Connection) -> None:
    """Hold the store, as rank 0 does, and send the processor time of this process when asked."""
    store = TCPStore("127.0.0.1", 0, None, True, CONNECT, wait_for_workers=False)
    pipe.send(store.port)
    while pipe.recv():
        pipe.send(time.process_time())


def play_ranks(port: int, ranks: range, world_size: int, beats: Event, ready: Connection) -> None:
    """Write the heartbeats of several ranks, evenly over each interval, while asked to."""
    store = connect(port)
    played = []
    for rank in ranks:
        status = StatusStore(store, rank, number=0, timeout=60)
        options = {"position": lambda: (0, ""), "is_current": lambda: True}
        played.append(
            Heartbeats(status, rank, world_size, interval=TIMING.interval, **options)  # type: ignore[arg-type]  # by name
        )
    ready.send(len(played))
    pause, due = TIMING.interval / len(played), time.monotonic()
    while True:
        for heartbeats in played:
            due = max(due + pause, time.monotonic() - TIMING.interval)
            time.sleep(max(due - time.monotonic(), 0))
            if beats.is_set():
                heartbeats.beat()


def measure(store: TCPStore, pipe: Connection, seconds: float) -> tuple[float, float]:
    """Return the processor time of the store per second, and the median of an operation's time."""
    pipe.send(True)
    before, begin = pipe.recv(), time.perf_counter()
    waits = []
    while time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        store.add("ordinary", 1)
        waits.append(time.perf_counter() - start)
        time.sleep(0.005)
    elapsed = time.perf_counter() - begin
    pipe.send(True)
    return (pipe.recv() - before) / elapsed, statistics.median(waits)


def count_heartbeats(status: StatusStore, world_size: int) -> int:
    """Return how many heartbeats all ranks have written."""
    return sum(beat.number for beat in status.heartbeats(range(world_size)).values() if beat)


def compare(store: TCPStore, pipe: Connection, beats: Event, arguments: argparse.Namespace) -> None:
    """Measure without, with and again without the heartbeats, and print the costs."""
    quiet: list[tuple[float, float]] = []
    busy: list[tuple[float, float]] = []
    status = StatusStore(store, 0, number=0, timeout=60)
    for _ in range(arguments.rounds):
        quiet.append(measure(store, pipe, arguments.seconds))
    # Without a pause in between, which each rank would report as the silence of another.
    beats.set()
    time.sleep(2 * TIMING.interval)
    before, begin = count_heartbeats(status, arguments.ranks), time.monotonic()
    for _ in range(arguments.rounds):
        busy.append(measure(store, pipe, arguments.seconds))
    elapsed = time.monotonic() - begin
    count = count_heartbeats(status, arguments.ranks) - before
    beats.clear()
    time.sleep(TIMING.interval)
    for _ in range(arguments.rounds):
        quiet.append(measure(store, pipe, arguments.seconds))
    report(quiet, busy, count / elapsed)


def report(quiet: list[tuple[float, float]], busy: list[tuple[float, float]], rate: float) -> None:
    """Print the costs of the least disturbed rounds."""
    base, cost = (min(cpu for cpu, _ in costs) for costs in (quiet, busy))
    fast, slow = (min(wait for _, wait in costs) for costs in (quiet, busy))
    print(f"heartbeats         {rate:.0f} per second, {REQUESTS * rate:.0f} requests")
    print(f"store, processor   {100 * base:.2f} % of a core without, {100 * cost:.2f} % with them")
    print(
        f"ordinary operation {fast * 1e6:.0f} us without, {slow * 1e6:.0f} us with them: "
        f"ratio {slow / fast:.2f}"
    )


def main() -> None:
    """Start the store and the ranks, and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=256)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("fork")  # torch is imported once
    pipe, far = context.Pipe()
    holder = context.Process(target=hold_store, args=(far,), daemon=True)
    holder.start()
    port = pipe.recv()
    beats = context.Event()
    for first in range(arguments.processes):
        ranks = range(first, arguments.ranks, arguments.processes)
        rest = (port, ranks, arguments.ranks, beats, far)
        context.Process(target=play_ranks, args=rest, daemon=True).start()
    while sum(pipe.recv() for _ in range(arguments.processes)) < arguments.ranks:
        pass
    compare(connect(port), pipe, beats, arguments)


if __name__ == "__main__":
    main()
