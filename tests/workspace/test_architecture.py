"""The floors, and the edges between packages."""

import ast
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grimp
import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports
from tests.workspace.conftest import module_of

if TYPE_CHECKING:
    from tests.workspace.conftest import Package

# The table of ARCHITECTURE.md. A new edge is a decision that both places show.
FLOORS = [
    {"compat"},
    {"runner"},
    {"dataset", "evaluator", "model", "optim", "visualization"},
    {"config", "dist", "logging", "structures"},
    {"fileio", "registry"},
    {"utils"},
]
EDGES: dict[str, set[str]] = {
    "compat": set().union(*FLOORS[1:]),
    "config": {"fileio", "utils"},
    "dataset": {"dist", "fileio", "registry", "structures", "utils"},
    "dist": {"utils"},
    "evaluator": {"dist", "fileio", "registry", "structures", "utils"},
    "fileio": {"utils"},
    "logging": {"utils"},
    "model": {"dist", "fileio", "registry", "structures", "utils"},
    "optim": {"dist", "registry", "utils"},
    "registry": {"utils"},
    "runner": set().union(*FLOORS[2:]),
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
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return {short for short in EDGES if module_of(short) in found} - {package.short}


@pytest.fixture
def contracts(root: Path) -> dict[str, Any]:
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    return settings["tool"]["importlinter"]  # type: ignore[no-any-return]  # TOML


def test_contracts_are_kept(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(root / "pyproject.toml"), cache_dir=None)

    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_contracts_and_table_are_equal(
    contracts: dict[str, Any], packages: "tuple[Package, ...]"
) -> None:
    layers, *rest = contracts["contracts"]
    edges = [contract for contract in rest if contract["type"] == "forbidden"]
    stated = [{name.strip() for name in layer.split("|")} for layer in layers["layers"]]
    below = {
        name: set().union(*FLOORS[floor + 1 :])
        for floor, names in enumerate(FLOORS)
        for name in names
    }

    assert stated == [{module_of(name) for name in floor} for floor in FLOORS]
    assert contracts["root_packages"] == [package.module for package in packages]
    assert {edge["source_modules"][0]: edge["forbidden_modules"] for edge in edges} == {
        module_of(name): [module_of(other) for other in sorted(below[name] - EDGES[name])]
        for name in EDGES
        if below[name] - EDGES[name]
    }


def test_package_imports_over_its_edges_only(package: "Package") -> None:
    assert imported_packages(package) <= EDGES[package.short]


# Types only: users' hooks name the `Runner`, which owns the hooks.
KNOWN_CIRCLES = {
    "runner": {"engine_runner._hook", "engine_runner._hook_list", "engine_runner.runner"}
}


def circles(package: "Package") -> list[set[str]]:
    """Modules that import each other in a circle, with imports under ``TYPE_CHECKING``."""
    graph = grimp.build_graph(package.module, cache_dir=None)
    reaches = {module: graph.find_upstream_modules(module) for module in sorted(graph.modules)}
    found: list[set[str]] = []
    for module, upstream in reaches.items():
        circle = {other for other in upstream if module in reaches[other]} | {module}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found


def test_package_has_no_circle(package: "Package") -> None:
    known = KNOWN_CIRCLES.get(package.short)

    assert circles(package) == ([known] if known else [])


def test_package_has_its_rooms(package: "Package") -> None:
    vague = {"helper", "helpers", "misc", "common", "utils", "util"}

    # The modules in the folders of `mmengine` have the names that are documented.
    pattern = "*.py" if package.short == "compat" else "**/*.py"
    names = {file.stem.strip("_") for file in package.source.glob(pattern)}

    assert not names & vague
