"""Measure the time to import a package, against its budget.

Each figure is the median over ten fresh interpreters of the processor time of the import
statement. It is measured inside the interpreter and so excludes the interpreter's own start. The
wall time is shown beside it, and is longer where other programs run. One import before the others
warms the disk cache and the compiled files. `Runner` and `import torch` are measured alternately,
so that both see the same load of the machine. `engine_runner` imports its names at their first use,
so `Runner` is what a training imports.

    python benchmarks/imports.py
"""

import os
import statistics
import subprocess
import sys
from dataclasses import dataclass

ROUNDS = 10
SMALL_BUDGET = 0.060  # seconds, for a package that loads neither numpy nor torch
RUNNER_BUDGET = 0.250  # seconds over `import torch`
SMALL = ("engine_registry", "engine_config", "engine_fileio", "engine_runner", "mmengine")
RUNNER = "torch, engine_runner.runner"

# The modules of an installed package are compiled once. Here the warm-up compiles them.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

SCRIPT = """
import sys, time
clock, processor = time.perf_counter(), time.process_time()
import {module}
print(time.process_time() - processor, time.perf_counter() - clock, *sys.modules)
"""


@dataclass(frozen=True, kw_only=True)
class Import:
    """The time of one import, in seconds, and the modules that it loaded."""

    processor: float
    clock: float
    modules: frozenset[str]


def import_once(module: str) -> Import:
    """Import a module in a fresh interpreter."""
    command = [sys.executable, "-c", SCRIPT.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    processor, clock, *modules = done.stdout.split()
    return Import(processor=float(processor), clock=float(clock), modules=frozenset(modules))


def measure(*modules: str) -> dict[str, Import]:
    """Return the medians of each module's import, measured alternately."""
    seen = {module: import_once(module).modules for module in modules}
    rounds = [{module: import_once(module) for module in modules} for _ in range(ROUNDS)]
    return {
        module: Import(
            processor=statistics.median(times[module].processor for times in rounds),
            clock=statistics.median(times[module].clock for times in rounds),
            modules=seen[module],
        )
        for module in modules
    }


def report(what: str, seconds: float, budget: float, clock: float) -> bool:
    """Print one figure with its budget, and return whether it is within."""
    verdict = "ok" if seconds <= budget else "OVER"
    figures = (
        f"{seconds * 1000:7.1f} ms of {budget * 1000:3.0f} ms ({clock * 1000:.0f} on the clock)"
    )
    print(f"{what:40} {figures}  ratio {seconds / budget:.2f}  {verdict}")
    return seconds <= budget


def main() -> int:
    """Measure all, and return 1 if one is over its budget."""
    kept = []
    for module, found in measure(*SMALL).items():
        kept.append(report(f"import {module}", found.processor, SMALL_BUDGET, found.clock))
        heavy = sorted(found.modules & {"numpy", "torch"})
        kept.append(not heavy)
        if heavy:
            print(f"{'':40} it loads {' and '.join(heavy)}")
    torch, runner = measure("torch", RUNNER).values()
    print(f"{'import torch':40} {torch.processor * 1000:7.1f} ms, the baseline")
    extra = runner.processor - torch.processor
    kept.append(report("Runner, over torch", extra, RUNNER_BUDGET, runner.clock - torch.clock))
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
