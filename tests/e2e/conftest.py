"""Run the commands of a page once, for all tests and workers that read their results."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```bash run\n(.*?)^```$", flags=re.M | re.S)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that ended, with its exit code and all that it printed."""

    command: str
    code: int
    output: str


@dataclass(frozen=True)
class PageRun:
    """The folder in which the commands of a page ran, and how each command ended."""

    folder: Path
    ended: list[Ended]

    def output(self, beginning: str, ending: str = "") -> str:
        """Return the output of the one command with this beginning and ending."""
        [found] = [
            ended.output
            for ended in self.ended
            if ended.command.startswith(beginning) and ended.command.endswith(ending)
        ]
        return found


RunPage = Callable[[Path], PageRun]


@pytest.fixture(scope="session")
def run_page(tmp_path_factory: pytest.TempPathFactory) -> RunPage:
    """Return a function that runs the commands of a page the first time, and returns that run."""
    # The workers of pytest-xdist share one run: the first that needs it holds the lock meanwhile.
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    @cache
    def run(page: Path) -> PageRun:
        folder = shared / page.relative_to(ROOT).as_posix().replace("/", "_")
        record = folder / "ended.json"
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not record.exists():
                ended = _run_commands(page, folder)
                record.write_text(json.dumps([asdict(one) for one in ended]))
        return PageRun(folder, [Ended(**one) for one in json.loads(record.read_text())])

    return run


def _run_commands(page: Path, folder: Path) -> list[Ended]:
    """Run the page's commands beside a copy of the examples, up to the first that fails."""
    shutil.rmtree(folder, ignore_errors=True)  # left by a worker that was stopped during its run
    shutil.copytree(ROOT / "examples", folder / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended: list[Ended] = []
    for command in "".join(BLOCK.findall(page.read_text())).splitlines():
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=os.environ | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        ended.append(Ended(command=command, code=done.returncode, output=done.stdout))
        if done.returncode:
            break
    return ended
