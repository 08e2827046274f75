"""The BUILD files and the pyproject files describe the same graph."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.workspace.conftest import Package

Name = Callable[[str], str]
Targets = dict[str, list[dict[str, Any]]]


def read_build(file: Path) -> Targets:
    """Return the targets of a BUILD file by kind; such a file is a list of Python calls."""
    targets: Targets = defaultdict(list)

    class Calls(dict[str, Any]):
        def __missing__(self, kind: str) -> Callable[..., Any]:
            def record(**fields: Any) -> dict[str, Any]:
                targets[kind].append(fields)
                return fields

            return record

    exec(compile(file.read_text(), str(file), "exec"), Calls())
    return targets


def test_build_files_depend_on_what_the_pyprojects_declare(
    package: "Package", packages: "tuple[Package, ...]", requirement_name: Name
) -> None:
    targets = read_build(package.folder / "BUILD")
    names = {other.name for other in packages}
    needs = [requirement_name(need) for need in package.project["dependencies"]]
    places = [f"packages/{need}:dist" if need in names else f"//:{need}" for need in needs]

    distribution = targets["python_distribution"][0]

    assert distribution["dependencies"] == [":project", ":src", *sorted(places)]
    assert distribution["provides"] == {
        "name": package.name,
        "version": package.project["version"],
    }
    assert targets["python_sources"][0]["sources"] == ["src/**/*.py"]


def test_root_build_file_lists_what_comes_from_outside(
    root: Path, packages: "tuple[Package, ...]", requirement_name: Name
) -> None:
    names = {package.name for package in packages}
    needs = {
        need
        for package in packages
        for group in [package.project["dependencies"], *package.extras.values()]
        for need in group
        if requirement_name(need) not in names
    }
    development = (root / "requirements-dev.txt").read_text()
    for section in re.findall(r"^# tests.*?\n(.*?)(?=\n#|\Z)", development, flags=re.S | re.M):
        needs |= set(section.split())

    targets = read_build(root / "BUILD")["python_requirement"]

    assert [target["name"] for target in targets] == sorted(map(requirement_name, needs))
    assert {need for target in targets for need in target["requirements"]} == needs


def test_every_python_file_belongs_to_a_build_file(root: Path) -> None:
    homes = {
        file.relative_to(root).parts[:2] if file.parts[-2] != "tests" else ("tests",)
        for folder in ("packages", "tests")
        for file in (root / folder).rglob("*.py")
        if "_snapshots" not in file.parts
    }
    missing = {
        Path(*(home[:1] if home[-1].endswith(".py") else home))
        for home in homes
        if not (
            root.joinpath(*(home[:1] if home[-1].endswith(".py") else home)) / "BUILD"
        ).is_file()
    }

    assert missing == set()


def test_pants_lists_the_roots_of_sources(root: Path) -> None:
    settings = tomllib.loads((root / "pants.toml").read_text())

    assert settings["source"]["root_patterns"] == ["/packages/*/src", "/"]
    assert settings["python"]["interpreter_constraints"] == ["CPython>=3.11"]
