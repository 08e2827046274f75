"""Real process groups for the tests of engine-dist, all started once by ranks.py."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a rank ended (an exit code, or ``hung``), and all it printed."""

    end: int | str
    output: str


Ranks = Callable[[str], tuple[Path, dict[str, Ended]]]


@pytest.fixture(scope="session")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """Give a function that runs ``checks`` or ``failures`` once and returns what they left."""
    done: dict[str, tuple[Path, dict[str, Ended]]] = {}

    def run(what: str) -> tuple[Path, dict[str, Ended]]:
        if what not in done:
            folder = tmp_path_factory.mktemp(what)
            subprocess.run(
                [sys.executable, str(HERE / "ranks.py"), what, str(folder)],
                check=True,
                timeout=300,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            report = json.loads((folder / "report.json").read_text())
            done[what] = (folder, {name: Ended(**ended) for name, ended in report.items()})
        return done[what]

    return run
