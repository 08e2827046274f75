"""A package declares what it imports, and siblings agree on their version."""

import ast
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.workspace.conftest import Package

Name = Callable[[str], str]

# Requirements that no import shows.
USED_WITHOUT_IMPORT = {
    "dvclive": "it is not installed for the tests: DVC brings a hundred packages",
    "neptune": "it is not installed for the tests",
    "alembic": "mlflow imports it for a store in a database",
    "sqlalchemy": "mlflow imports it for a store in a database",
    "tensorboard": "torch.utils.tensorboard imports it",
}


@pytest.fixture(scope="module")
def distributions() -> dict[str, set[str]]:
    """Return the names of the distributions that contain each module."""
    found = packages_distributions()
    return {module: {name.lower() for name in names} for module, names in found.items()}


def brought_by(modules: set[str], distributions: dict[str, set[str]]) -> set[str]:
    """Return the names of the distributions that contain modules, without the standard library."""
    foreign = modules - set(sys.stdlib_module_names)
    # A module that no distribution lists is ours, or is not installed on this machine.
    return set().union(*(distributions.get(m, {m.replace("_", "-")}) for m in foreign))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(tree: ast.AST, *, lazily: bool) -> Iterator[str]:
    """Yield the top-level modules that a file imports when it is loaded, or (``lazily``) later."""

    def visit(node: ast.AST, inside: bool) -> Iterator[str]:
        if is_type_checking(node):
            return
        if isinstance(node, ast.Import) and inside == lazily:
            yield from (alias.name.split(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module and inside == lazily:
            yield node.module.split(".")[0]
        deeper = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, deeper)

    return visit(tree, False)


def strings(tree: ast.AST) -> Iterator[str]:
    """Yield the first part of each string that could name a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.split(".")[0].split(":")[0]


def collect(package: "Package", *, lazily: bool, skip: str | None = None) -> set[str]:
    return {
        module
        for file, tree in package.trees()
        if skip is None or skip not in file.parts
        for module in imports(tree, lazily=lazily)
    } - {package.module}


def test_declared_dependencies_are_those_imported(
    package: "Package", distributions: dict[str, set[str]], requirement_name: Name
) -> None:
    corner = (
        "dl_utils" if package.short == "utils" else None
    )  # needs torch, and no module imports it
    loaded = brought_by(collect(package, lazily=False, skip=corner), distributions)
    named = {word for _, tree in package.trees() for word in strings(tree)}
    later = brought_by(collect(package, lazily=True), distributions)
    later |= brought_by(named & set(distributions), distributions)  # imported by their name
    if package.short == "compat":  # its table has the names of ours
        later |= {word.replace("_", "-") for word in named if word.startswith("engine_")}

    declared = {requirement_name(need) for need in package.project["dependencies"]}

    assert loaded - declared == set(), "imported at the top, not declared"
    assert declared - loaded - later == set(), "declared, not imported"


def test_extras_are_what_is_imported_at_first_use(
    package: "Package", distributions: dict[str, set[str]], requirement_name: Name
) -> None:
    needs = {requirement_name(need) for extra in package.extras.values() for need in extra}
    hard = {requirement_name(need) for need in package.project["dependencies"]}
    later = collect(package, lazily=True)
    if package.short == "utils":
        later |= collect(package, lazily=False)  # the folder that needs torch
    named = {word for _, tree in package.trees() for word in strings(tree)}
    available = brought_by(later, distributions) | brought_by(
        named & set(distributions), distributions
    )

    assert brought_by(later, distributions) - hard - needs == set(), "imported late, not declared"
    assert needs - available - set(USED_WITHOUT_IMPORT) == set(), "an unused extra"


def test_all_is_every_extra(package: "Package") -> None:
    # engine-utils[torch] is for one folder; `all` is for the rest, without torch. The development
    # environment installs `all`, which DVC alone would double.
    apart = ("torch", "dvclive", "neptune")
    extras = {name: needs for name, needs in package.extras.items() if name not in apart}
    every = sorted({need for needs in extras.values() for need in needs})

    stated = package.project["optional-dependencies"]["all"]
    if package.short == "runner":  # test_publishing.py checks those of the packages below
        stated = [need for need in stated if not need.startswith("engine-")]

    assert stated in (every, [f"{package.name}[{','.join(sorted(extras))}]"])


def test_versions_are_equal_and_siblings_in_range(
    package: "Package", packages: "tuple[Package, ...]", requirement_name: Name
) -> None:
    names = {other.name for other in packages}
    siblings = [n for n in package.project["dependencies"] if requirement_name(n) in names]

    assert package.project["version"] == "0.1.0"
    assert package.project["requires-python"] == ">=3.11"
    assert all(need.endswith(">=0.1,<0.2") for need in siblings), siblings
    assert package.project["dependencies"] == sorted(package.project["dependencies"])


def test_siblings_are_uv_sources(
    package: "Package", packages: "tuple[Package, ...]", requirement_name: Name
) -> None:
    settings = tomllib.loads((package.folder / "pyproject.toml").read_text())["tool"]
    names = {other.name for other in packages}
    siblings = {requirement_name(need) for need in package.project["dependencies"]} & names

    sources: dict[str, Any] = settings.get("uv", {}).get("sources", {})

    assert sources == {name: {"workspace": True} for name in siblings}


@pytest.mark.parametrize("file", ["LICENSE", "README.md", "BUILD"])
def test_package_has_its_files(package: "Package", file: str, root: Path) -> None:
    assert (package.folder / file).stat().st_size > 0
    assert (package.source / "py.typed").is_file()
    assert (package.folder / "LICENSE").read_bytes() == (root / "LICENSE").read_bytes()


def test_development_installs_every_package(root: Path, packages: "tuple[Package, ...]") -> None:
    lines = (root / "requirements-dev.txt").read_text().splitlines()

    editable = [line.split("/")[-1] for line in lines if line.startswith("-e ")]

    assert "-c constraints.txt" in lines
    assert sorted(editable) == [f"{package.name}[all]" for package in packages]
