"""How long importing a package takes, held against its budget.

Each figure is the median over ten fresh interpreters of the time around the import statement,
measured inside the interpreter, so without its own start. One import before those warms the disk
cache and the compiled files. `engine_runner` and `import torch` alone are measured in turns, so
that both see the same machine.

    python benchmarks/imports.py
"""

import statistics
import subprocess
import sys

ROUNDS = 10
SMALL_BUDGET = 0.060  # seconds, for a package that loads neither numpy nor torch
RUNNER_BUDGET = 0.300  # seconds over `import torch`
SMALL = ("engine_registry", "engine_config", "engine_fileio")

SCRIPT = """
import sys, time
begin = time.perf_counter()
import {module}
print(time.perf_counter() - begin, "numpy" in sys.modules, "torch" in sys.modules)
"""


def import_once(module: str) -> tuple[float, bool, bool]:
    """Import in a fresh interpreter; return the seconds, and whether numpy and torch came along."""
    command = [sys.executable, "-c", SCRIPT.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, numpy, torch = done.stdout.split()
    return float(seconds), numpy == "True", torch == "True"


def measure(*modules: str) -> dict[str, float]:
    """Return the median seconds of each module's import, measured in turns."""
    for module in modules:
        import_once(module)
    rounds = [{module: import_once(module)[0] for module in modules} for _ in range(ROUNDS)]
    return {module: statistics.median(times[module] for times in rounds) for module in modules}


def report(what: str, seconds: float, budget: float) -> bool:
    """Print one figure against its budget; return whether it keeps to it."""
    verdict = "ok" if seconds <= budget else "OVER"
    figures = f"{seconds * 1000:7.1f} ms of {budget * 1000:4.0f} ms"
    print(f"{what:42} {figures}  {seconds / budget:5.2f}  {verdict}")
    return seconds <= budget


def main() -> int:
    """Measure all, and return 1 if one is over its budget."""
    kept = []
    for module, seconds in measure(*SMALL).items():
        _, numpy, torch = import_once(module)
        kept.append(report(f"import {module}", seconds, SMALL_BUDGET))
        kept.append(not numpy and not torch)
        print(f"{'':42} numpy loaded: {numpy}, torch loaded: {torch}")
    times = measure("torch", "engine_runner")
    print(f"{'import torch':42} {times['torch'] * 1000:7.1f} ms  (the baseline)")
    extra = times["engine_runner"] - times["torch"]
    kept.append(report("import engine_runner, over import torch", extra, RUNNER_BUDGET))
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
