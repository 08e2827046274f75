"""What importing a package brings into a fresh interpreter."""

import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.workspace.conftest import Package

WITHOUT_TORCH = {"config", "fileio", "logging", "registry", "utils"}
WITHOUT_NUMPY = {"config", "fileio", "registry", "utils"}
# Back ends and tools: imported at the first use, by nobody before.
NEVER = {
    "boto3",
    "botocore",
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


@cache
def loaded_by(module: str) -> set[str]:
    """Top-level modules in ``sys.modules`` after importing one in a fresh interpreter."""
    script = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True
    )
    return set(done.stdout.split())


def test_import_stays_in_its_budget(package: "Package") -> None:
    forbidden = set(NEVER)
    if package.short in WITHOUT_TORCH:
        forbidden.add("torch")
    else:
        forbidden -= loaded_by("torch")  # what torch brings is not ours to leave out
    if package.short in WITHOUT_NUMPY:
        forbidden.add("numpy")

    assert loaded_by(package.module) & forbidden == set()
