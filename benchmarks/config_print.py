"""Measure the time to print a config of 4,500 lines, and to read the text again.

Budget: 100 ms to print. The baselines, measured in the same run, are `pprint` of the standard
library and PyYAML writing the same values.

    python benchmarks/config_print.py
"""

import pprint
import time
from collections.abc import Callable
from typing import Any

import yaml

from engine_config import Config

BUDGET_MS, LINES, ROUNDS = 100.0, 4500, 5


def milliseconds(action: Callable[[], object]) -> float:
    """Return the least processor time of an action: the rest comes from other programs."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        action()
        times.append((time.process_time_ns() - start) / 1e6)
    return min(times)


def part(number: int) -> dict[str, Any]:
    """Return a layer as detection configs have them."""
    return {
        "type": "ConvModule",
        "in_channels": number,
        "out_channels": [number, 2 * number, 4 * number],
        "norm_cfg": {"type": "BN", "requires_grad": True, "momentum": 0.1, "eps": 1e-05},
        "act_cfg": {"type": "LeakyReLU", "negative_slope": 0.1, "inplace": True},
        "init_cfg": [{"type": "Kaiming", "layer": "Conv2d"}, {"type": "Constant", "val": 1}],
    }


def main() -> None:
    """Print the times, the budget and the ratios to the baselines."""
    values: dict[str, Any] = {}
    while Config(values).pretty_text.count("\n") < LINES:
        more = range(len(values), len(values) + 50)
        values |= {f"model_{number}": {"neck": part(number), "head": part(1)} for number in more}
    config = Config(values)
    text = config.pretty_text
    printing = milliseconds(lambda: config.pretty_text)
    if Config.fromstring(text, ".py") != config:
        raise SystemExit("the printed config does not read back equal")
    count = text.count("\n")
    verdict = "within" if printing <= BUDGET_MS else "OVER"
    print(f"{count} lines; best of {ROUNDS}, processor time")
    print(f"pretty_text: {printing:8.1f} ms; {verdict} {BUDGET_MS} ms")
    baselines: list[tuple[str, Callable[[], object]]] = [
        ("pprint", lambda: pprint.pformat(values, width=100)),
        ("yaml.safe_dump", lambda: yaml.safe_dump(values)),
    ]
    for name, action in baselines:
        baseline = milliseconds(action)
        print(f"{name}: {baseline:8.1f} ms; pretty_text takes {printing / baseline:.3f} of it")
    reading = milliseconds(lambda: Config.fromstring(text, ".py"))
    print(f"reading it again: {reading:8.1f} ms")


if __name__ == "__main__":
    main()
