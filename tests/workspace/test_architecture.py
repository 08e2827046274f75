"""The floors, and the edges between packages."""

import ast
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

if TYPE_CHECKING:
    from tests.workspace.conftest import Package

# The table of ARCHITECTURE.md. A new edge is a decision, taken here and there.
FLOORS = [
    {"runner"},
    {"dataset", "evaluator", "model", "optim", "visualization"},
    {"config", "dist", "logging", "structures"},
    {"fileio", "registry"},
    {"utils"},
]
EDGES: dict[str, set[str]] = {
    "config": {"fileio", "utils"},
    "dataset": {"dist", "fileio", "registry", "structures", "utils"},
    "dist": {"utils"},
    "evaluator": {"dist", "fileio", "registry", "structures"},
    "fileio": {"utils"},
    "logging": {"utils"},
    "model": {"dist", "fileio", "registry", "structures", "utils"},
    "optim": {"dist", "registry", "utils"},
    "registry": {"utils"},
    "runner": set().union(*FLOORS[1:]),
    "structures": set(),
    "utils": set(),
    "visualization": {"dist", "fileio", "registry", "structures", "utils"},
}


def imported_packages(package: "Package") -> set[str]:
    found = set()
    for _, tree in package.trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    ours = {name.removeprefix("engine_") for name in found if name.startswith("engine_")}
    return ours - {package.short}


@pytest.fixture
def contracts(root: Path) -> dict[str, Any]:
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    return settings["tool"]["importlinter"]  # type: ignore[no-any-return]  # TOML


def test_contracts_are_kept(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(root / "pyproject.toml"), cache_dir=None)

    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_contracts_say_what_the_table_says(
    contracts: dict[str, Any], packages: "tuple[Package, ...]"
) -> None:
    layers, *edges = contracts["contracts"]
    stated = [{name.strip() for name in layer.split("|")} for layer in layers["layers"]]
    below = {
        name: set().union(*FLOORS[floor + 1 :])
        for floor, names in enumerate(FLOORS)
        for name in names
    }

    assert stated == [{f"engine_{name}" for name in floor} for floor in FLOORS]
    assert contracts["root_packages"] == [package.module for package in packages]
    assert {edge["source_modules"][0]: edge["forbidden_modules"] for edge in edges} == {
        f"engine_{name}": [f"engine_{other}" for other in sorted(below[name] - EDGES[name])]
        for name in EDGES
        if below[name] - EDGES[name]
    }


def test_package_imports_over_its_edges_only(package: "Package") -> None:
    assert imported_packages(package) <= EDGES[package.short]


def test_package_has_its_rooms(package: "Package") -> None:
    vague = {"helper", "helpers", "misc", "common", "utils", "util"}

    names = {file.stem.strip("_") for file in package.source.rglob("*.py")}

    assert not names & vague
