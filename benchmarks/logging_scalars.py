"""Measure the cost of updating a scalar: at first, after a million updates, and with a tensor.

The baseline is appending to a list in a dict, measured alternately: processor time of the best
round. The budget is 1 us per update. Tensors are read when a statistic is needed, here after every
thousand updates; that time is shown beside the update. Without statistics they are read when so
many wait that they would fill the memory; a line of its own shows both times together.

    python benchmarks/logging_scalars.py [--updates 100000] [--rounds 7]
"""

import argparse
import pickle
import time
from collections.abc import Callable
from typing import Any

from engine_logging import MessageHub

BUDGET = 1.0  # microseconds
MILLION = 1_000_000
KEPT = 1000  # tensors that wait to be read


def best(runs: dict[str, Callable[[int], Any]], updates: int, rounds: int) -> dict[str, float]:
    """Return the microseconds per update of each, measured alternately."""
    found = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.process_time()
            run(updates)
            found[name] = min(found[name], (time.process_time() - began) / updates * 1e6)
    return found


def updater(hub: MessageHub, key: str, value: Any) -> Callable[[int], None]:
    """Return a function that adds a value ``updates`` times."""

    def run(updates: int) -> None:
        for _ in range(updates):
            hub.update_scalar(key, value)

    return run


def by_hand(updates: int) -> None:
    """Append to a list in a dictionary."""
    scalars: dict[str, list[tuple[float, int]]] = {"loss": []}
    for _ in range(updates):
        scalars["loss"].append((0.5, 1))


def tensors(hub: MessageHub, chunks: int, rounds: int) -> dict[str, float]:
    """Return the microseconds of an update with a tensor, and of reading it later."""
    try:
        import torch
    except ImportError:
        return {}
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    value = torch.tensor(0.5, device=device)
    run = updater(hub, "tensor", value)
    update = read = float("inf")
    for _ in range(rounds):
        times = [0.0, 0.0]
        for _ in range(chunks):
            began = time.process_time()
            run(KEPT)
            kept = time.process_time()
            hub.get_scalar("tensor").current()
            times = [times[0] + kept - began, times[1] + time.process_time() - kept]
        update, read = (
            min(before, taken / chunks / KEPT * 1e6)
            for before, taken in zip((update, read), times, strict=True)
        )
    unasked = best({"": updater(hub, "unasked", value)}, chunks * KEPT, rounds)[""]
    return {
        f"update with a tensor on {device}": update,
        "reading such a tensor": read,
        "update that nobody asks for": unasked,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--updates", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    fresh, full = MessageHub("fresh"), MessageHub("full")
    updater(full, "loss", 0.5)(MILLION + 1)
    runs = {
        "list by hand": by_hand,
        "update": updater(fresh, "loss", 0.5),
        "update after a million": updater(full, "loss", 0.5),
    }
    found = best(runs, arguments.updates, arguments.rounds)
    found |= tensors(fresh, arguments.updates // KEPT, arguments.rounds)
    for name, taken in found.items():
        verdict = f"{'OVER' if taken > BUDGET else 'within'} {BUDGET:g} us"
        print(f"{name:<30} {taken:5.2f} us", verdict if "update" in name else "", sep="  ")
    size = len(pickle.dumps(full.state_dict())) / 1024
    print(f"state of a scalar with a million values: {size:.0f} KiB")


if __name__ == "__main__":
    main()
