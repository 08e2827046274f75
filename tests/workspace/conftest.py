"""The packages, with their pyproject files and sources, for the tests of the workspace."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def module_of(short: str) -> str:
    """Return the import name of a package; that of engine-compat is the one that it stands for."""
    return "mmengine" if short == "compat" else f"engine_{short}"


@dataclass(frozen=True)
class Package:
    """A package of the workspace on disk."""

    short: str

    @property
    def name(self) -> str:
        return f"engine-{self.short}"

    @property
    def module(self) -> str:
        return module_of(self.short)

    @property
    def folder(self) -> Path:
        return ROOT / "packages" / self.name

    @property
    def source(self) -> Path:
        return self.folder / "src" / self.module

    @cached_property
    def project(self) -> dict[str, Any]:
        """Return the table ``[project]`` of its pyproject file."""
        return tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]  # type: ignore[no-any-return]  # TOML

    @property
    def extras(self) -> dict[str, list[str]]:
        """Return the requirements by extra, without ``all``."""
        extras = self.project.get("optional-dependencies", {})
        return {name: needs for name, needs in extras.items() if name != "all"}

    def trees(self) -> Iterator[tuple[Path, ast.Module]]:
        """Yield each source file with its syntax tree."""
        for file in sorted(self.source.rglob("*.py")):
            yield file, tree_of(file)


@cache  # many tests read all files, and parsing is most of their time
def tree_of(file: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(file.read_text(), str(file))


@cache
def all_packages() -> tuple[Package, ...]:
    folders = sorted((ROOT / "packages").glob("engine-*/pyproject.toml"))
    return tuple(Package(file.parent.name.removeprefix("engine-")) for file in folders)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with an argument ``package`` once per package."""
    if "package" in metafunc.fixturenames:
        metafunc.parametrize("package", all_packages(), ids=lambda package: package.short)


@pytest.fixture
def root() -> Path:
    """Return the folder of the workspace."""
    return ROOT


@pytest.fixture
def packages() -> tuple[Package, ...]:
    """Return all packages, sorted by name."""
    return all_packages()


@pytest.fixture
def requirement_name() -> Any:
    """Return a function from a requirement such as ``numpy>=1.26`` to its distribution's name."""
    return lambda requirement: re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower()  # type: ignore[index]  # a requirement begins with a name
