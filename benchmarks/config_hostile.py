"""Measure how long configs that are written to do harm keep the reader busy before it rejects them.

Budget: 10 s for the slowest. The baseline, measured in the same run, reads a normal config with
the largest number of values that a config may have.

    python benchmarks/config_hostile.py
"""

import time

from engine_config import Config, ConfigError
from engine_config.origin._attach import MAX_VALUES

BUDGET_S = 10.0
LEVELS = range(60)
HOSTILE = {
    "100,000 brackets (Python)": (".py", f"a = {'[' * 100_000}"),
    "100,000 brackets (JSON)": (".json", f'{{"a": {"[" * 100_000}'),
    "100,000 brackets (YAML)": (".yaml", f"a: {'[' * 100_000}"),
    "60 levels of aliases (YAML)": (
        ".yaml",
        "k0: &k0 [x]\n" + "".join(f"k{i + 1}: &k{i + 1} [*k{i}, *k{i}]\n" for i in LEVELS),
    ),
    "60 doubled lists (Python)": (".py", "a = [1]\n" + "a = [a, a]\n" * 60),
    "100 squarings (Python)": (".py", "a = 9\n" + "a = a * a\n" * 100),
    "a sum of 20,000 (Python)": (".py", f"a = {'1 + ' * 20_000}1"),
}


def seconds(text: str, suffix: str) -> tuple[float, str]:
    """Return the processor time of reading a text without running it, and how it ended."""
    start = time.process_time()
    try:
        Config.fromstring(text, suffix, execute=False)
        end = "read"
    except ConfigError as error:
        end = type(error).__name__
    return time.process_time() - start, end


def main() -> None:
    """Print the time of each text, the budget and the ratio to the baseline."""
    honest, _ = seconds(f"a = [{'[1, 2, 3], ' * (MAX_VALUES // 4 - 1)}]", ".py")
    print(f"{MAX_VALUES:,} honest values: {honest:.2f} s")
    slowest = 0.0
    for name, (suffix, text) in HOSTILE.items():
        taken, end = seconds(text, suffix)
        slowest = max(slowest, taken)
        print(f"{name}: {taken:.2f} s, {end}")
    verdict = "within" if slowest <= BUDGET_S else "OVER"
    print(
        f"slowest: {slowest:.2f} s, {slowest / honest:.2f} of the baseline; {verdict} {BUDGET_S} s"
    )


if __name__ == "__main__":
    main()
