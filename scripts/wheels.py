"""Build all packages into dist/, check the files, and install each package alone from there.

torch is unpacked once, and shared by the environments of the packages that require it. The others
have no torch at all.
"""

import json
import re
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.M | re.S)


@dataclass(frozen=True)
class Package:
    """A package of the workspace."""

    folder: Path

    @property
    def name(self) -> str:
        """The name of the distribution."""
        return self.folder.name

    @property
    def module(self) -> str:
        """The name of the import."""
        return next(self.folder.glob("src/*/__init__.py")).parent.name

    @property
    def project(self) -> dict[str, Any]:
        """The table ``[project]``."""
        text = (self.folder / "pyproject.toml").read_text()
        return tomllib.loads(text)["project"]  # type: ignore[no-any-return]  # TOML

    def file(self, ending: str) -> Path:
        """Return a built file."""
        version = self.project["version"]
        return DIST / f"{self.name.replace('-', '_')}-{version}{ending}"

    def needs_torch(self, packages: dict[str, "Package"]) -> bool:
        """Return whether the package, or one that it requires, requires torch."""
        names = [re.split(r"[^\w-]", need)[0] for need in self.project["dependencies"]]
        below = [packages[name] for name in names if name in packages]
        return "torch" in names or any(other.needs_torch(packages) for other in below)

    @property
    def example(self) -> str:
        """The first example of the README."""
        match = PYTHON_BLOCK.search((self.folder / "README.md").read_text())
        if match is None:
            raise ValueError(f"{self.name}/README.md must have an example in Python, got none")
        return match[1]


def run(*command: str | Path, folder: Path = ROOT) -> str:
    """Run a command, and return what it printed.

    Raises:
        SystemExit: The command failed.
    """
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def build(packages: list[Package]) -> None:
    """Build wheels and source distributions, in place of earlier ones, and check them."""
    DIST.mkdir(exist_ok=True)
    for file in DIST.glob("engine_*"):
        file.unlink()
    for package in packages:
        run(sys.executable, "-m", "hatchling", "build", "-d", DIST, folder=package.folder)
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted(DIST.glob("engine_*")))


def install_alone(package: Package, folder: Path, torch: Path | None) -> tuple[int, str]:
    """Install a package into a new environment, and use it there.

    Returns:
        The number of distributions besides those of torch, and what was run.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin/python"
    if torch is not None:
        site = next(folder.glob("lib/python*/site-packages"))
        (site / "torch.pth").write_text(f"{torch}\n")
    # A pip of its own takes seconds.
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python]
    run(*pip, "install", "--quiet", "--find-links", DIST, "-c", "constraints.txt", package.name)
    run(*pip, "check")
    listed = [*pip, "list", "--format", "json"]
    shared = json.loads(run(*listed, "--path", torch)) if torch is not None else []
    count = len(json.loads(run(*listed))) - len(shared)
    run(python, "-c", f"import {package.module}", folder=folder)
    if package.project.get("scripts"):
        run(folder / "bin/engine", "--version", folder=folder)
        return count, "engine --version"
    (folder / "example.py").write_text(package.example)
    run(python, "example.py", folder=folder)
    return count, "its example"


def main() -> None:
    """Build, check, install, and print a table."""
    packages = {
        file.parent.name: Package(file.parent)
        for file in sorted(ROOT.glob("packages/engine-*/pyproject.toml"))
    }
    build(list(packages.values()))
    print(f"{2 * len(packages)} files in {DIST}, checked by twine")
    header = f"{'package':<22}{'wheel':>9}{'sdist':>9}{'torch':>7}{'others':>8}{'time':>7}  ran"
    print(header, flush=True)
    with TemporaryDirectory() as temporary:
        torch = Path(temporary, "torch")
        run(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", torch,
            "-c", "constraints.txt", "torch", "numpy")  # fmt: skip
        for package in packages.values():
            begin = time.monotonic()
            shared = torch if package.needs_torch(packages) else None
            count, ran = install_alone(package, Path(temporary, package.name), shared)
            sizes = (package.file(end).stat().st_size for end in ("-py3-none-any.whl", ".tar.gz"))
            columns = "".join(f"{size / 1000:>6.0f} kB" for size in sizes)
            print(
                f"{package.name:<22}{columns}{'yes' if shared else 'no':>7}{count:>8}"
                f"{time.monotonic() - begin:>5.0f} s  {ran}",
                flush=True,
            )


if __name__ == "__main__":
    main()
