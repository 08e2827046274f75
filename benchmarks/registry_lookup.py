"""Measure a lookup by name over a dict, and a build from a config over the constructor.

The baselines are a lookup in a dict and a call of the constructor, measured alternately: processor
time of the best round. The budgets are 2 us for a lookup and 10 us for a build over its
constructor.

    python benchmarks/registry_lookup.py [--calls 20000] [--rounds 9]
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

from engine_registry import DefaultScope, Registry

LOOKUP_BUDGET, BUILD_BUDGET = 2.0, 10.0  # microseconds


class Net:
    """The class that is built."""

    def __init__(self, depth: int, stages: int = 4) -> None:
        self.depth, self.stages = depth, stages


def best(runs: dict[str, Callable[[], Any]], calls: int, rounds: int) -> dict[str, float]:
    """Return the microseconds per call of each, measured alternately."""
    found = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.process_time()
            for _ in range(calls):
                run()
            found[name] = min(found[name], (time.process_time() - began) / calls * 1e6)
    return found


def show(title: str, taken: float, baseline: float, budget: float) -> None:
    """Print one figure with its baseline and its budget."""
    verdict = "within" if taken <= budget else "OVER"
    print(f"{title:<36} {taken:6.2f} us, baseline {baseline:.2f} us, {verdict} {budget:g} us")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    root = Registry("model", scope="base")
    root.register_module(module=Net)
    child = Registry("model", parent=root, scope="child")
    cfg, plain = {"type": "Net", "depth": 50, "stages": 3}, {"depth": 50, "stages": 3}
    table = dict(root.module_dict)
    DefaultScope.get_instance("benchmark", scope_name="child")

    found = best(
        {
            "dictionary": lambda: table.get("Net"),
            "look-up": lambda: root.get("Net"),
            "look-up in the parent": lambda: child.get("Net"),
            "look-up by prefix": lambda: child.get("base.Net"),
            "constructor": lambda: Net(**plain),
            "build": lambda: root.build(cfg),
            "build from the parent": lambda: child.build(cfg),
        },
        arguments.calls,
        arguments.rounds,
    )
    for name, taken in found.items():
        if name.startswith("look-up"):
            show(name, taken, found["dictionary"], LOOKUP_BUDGET)
        elif name.startswith("build"):
            base = found["constructor"]
            show(f"{name}, over the constructor", taken - base, base, BUILD_BUDGET)


if __name__ == "__main__":
    main()
