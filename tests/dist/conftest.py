"""Real process groups for the tests of engine-dist, all started once by ranks.py."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The exit code of a rank (or ``hung``), and its output."""

    end: int | str
    output: str


Ranks = Callable[[str], tuple[Path, dict[str, Ended]]]


@pytest.fixture(scope="session")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """Return a function that runs a command of ranks.py once and returns its output folder."""
    # One run for all workers of pytest-xdist, whose folders lie side by side.
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    done: dict[str, tuple[Path, dict[str, Ended]]] = {}

    def run(what: str) -> tuple[Path, dict[str, Ended]]:
        if what not in done:
            folder = shared / what
            with (shared / f"{what}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not (folder / "report.json").exists():
                    start_ranks(what, folder)
            report = json.loads((folder / "report.json").read_text())
            done[what] = (folder, {name: Ended(**ended) for name, ended in report.items()})
        return done[what]

    return run


def start_ranks(what: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # left by an interrupted worker
    folder.mkdir()
    subprocess.run(
        [sys.executable, str(HERE / "ranks.py"), what, str(folder)],
        check=True,
        timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
