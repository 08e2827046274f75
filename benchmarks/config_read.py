"""Measure the time to read a Python config with four bases and 100 keys.

Budgets: 2 ms when the bases were read before, 4 ms otherwise. The baseline, measured in the same
run, is Python compiling and running the same five files. A reader cannot be faster, because it also
merges and converts. The first read of a process also imports the reader, which
`import engine_config` does not load; the last line shows both times in a fresh interpreter.

    python benchmarks/config_read.py
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine_config import Config
from engine_config.read._files import cache

WARM_BUDGET_MS, COLD_BUDGET_MS, ROUNDS = 2.0, 4.0, 200


FRESH_ROUNDS = 10
FRESH = """
import sys, time
start = time.process_time()
from engine_config import Config
imported = time.process_time()
Config.fromfile(sys.argv[1])
print(imported - start, time.process_time() - imported)
"""


def milliseconds(action: Callable[[], object]) -> float:
    """Return the least processor time of an action: the rest comes from other programs."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        action()
        times.append((time.process_time_ns() - start) / 1e6)
    return min(times)


def write_configs(folder: Path) -> Path:
    """Write four bases and a config that overrides some of their 100 keys."""
    for base in range(4):
        blocks = [
            f"part{base}_{number} = dict(\n    type='Part{number}',\n    lr=0.{number},\n"
            f"    steps=[8, 11, {number}],\n    norm=dict(type='BN', eps=1e-5),\n)\n"
            for number in range(4)
        ]
        (folder / f"base{base}.py").write_text("".join(blocks))
    config = folder / "config.py"
    config.write_text(
        "_base_ = ['base0.py', 'base1.py', 'base2.py', 'base3.py']\n"
        "part0_0 = dict(lr=3, norm=dict(eps=1))\n"
        "part1_1 = dict(_delete_=True, type='Other')\n"
        "work_dir = './work/{{fileBasenameNoExtension}}'\n"
    )
    return config


def run_plainly(config: Path) -> None:
    """Do what Python alone does with the files."""
    for path in sorted(config.parent.iterdir()):
        text = path.read_text()
        exec(compile(text, str(path), "exec"), {})


def first_read(config: Path) -> tuple[float, float]:
    """Return the medians, in ms, of the import and of the first read in fresh interpreters."""
    command = [sys.executable, "-c", FRESH, str(config)]
    rounds = []
    for _ in range(FRESH_ROUNDS):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rounds.append([float(figure) * 1000 for figure in done.stdout.split()])
    imports, reads = zip(*rounds, strict=True)
    return statistics.median(imports), statistics.median(reads)


def main() -> None:
    """Print the two times, their budgets and the ratio to the baseline."""
    with tempfile.TemporaryDirectory() as folder:
        config = write_configs(Path(folder))
        keys = len(Config.fromfile(config).origins())

        def cold() -> None:
            cache.clear()
            Config.fromfile(config)

        baseline = milliseconds(lambda: run_plainly(config))
        cold_ms, warm_ms = milliseconds(cold), milliseconds(lambda: Config.fromfile(config))
        import_ms, first_ms = first_read(config)
    print(f"5 files, {keys} keys and elements; best of {ROUNDS} reads, processor time")
    print(f"plain compile and run: {baseline:6.2f} ms")
    for name, value, budget in [
        ("cold", cold_ms, COLD_BUDGET_MS),
        ("warm", warm_ms, WARM_BUDGET_MS),
    ]:
        verdict = "within" if value <= budget else "OVER"
        ratio = value / baseline
        print(
            f"Config.fromfile, {name}: {value:6.2f} ms, {ratio:.2f} of plain; {verdict} {budget} ms"
        )
    print(f"fresh process: {import_ms:.1f} ms for the import, {first_ms:.1f} ms for the first read")


if __name__ == "__main__":
    main()
