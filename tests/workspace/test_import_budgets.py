"""The modules that importing a package loads."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.workspace.conftest import Package

WITHOUT_TORCH = {"compat", "config", "fileio", "logging", "registry", "utils", "visualization"}
WITHOUT_NUMPY = {"compat", "config", "fileio", "registry", "utils"}
# Backends and tools: no package imports them before their first use.
NEVER = {
    "PIL",
    "aim",
    "boto3",
    "botocore",
    "clearml",
    "cv2",
    "fsspec",
    "lmdb",
    "matplotlib",
    "mlflow",
    "pandas",
    "pymemcache",
    "requests",
    "scipy",
    "sklearn",
    "tensorboard",
    "tqdm",
    "wandb",
}


SCRIPT = """
import sys
before = set(sys.modules)
import {module}
print(*{{name.split(".")[0] for name in set(sys.modules) - before}})
"""


@pytest.fixture
def loaded_by(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[["Package"], set[str]]:
    """Return a function from a package to the top-level modules that importing it loads.

    Packages above torch are imported where torch is loaded: its modules are not their choice.
    """

    def load(package: "Package") -> set[str]:
        script = tmp_path / "load.py"
        script.write_text(SCRIPT.format(module=package.module))
        if package.short in WITHOUT_TORCH:
            done = subprocess.run(
                [sys.executable, script], capture_output=True, text=True, timeout=300
            )
        else:
            done = request.getfixturevalue("scripts").run(script, folder=tmp_path)
        assert done.returncode == 0, done.stdout
        return set(done.stdout.split())

    return load


def test_import_stays_in_its_budget(
    package: "Package", loaded_by: Callable[["Package"], set[str]]
) -> None:
    forbidden = set(NEVER)
    if package.short in WITHOUT_TORCH:
        forbidden.add("torch")
    if package.short in WITHOUT_NUMPY:
        forbidden.add("numpy")

    assert loaded_by(package) & forbidden == set()
