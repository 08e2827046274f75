"""The packages are ready for an index: the same facts in each, and pages that stand alone."""

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from trove_classifiers import classifiers as known_classifiers

if TYPE_CHECKING:
    from tests.workspace.conftest import Package


@pytest.fixture
def workspace(root: Path) -> dict[str, Any]:
    """Return the root pyproject file, which names the place of the project."""
    return tomllib.loads((root / "pyproject.toml").read_text())


def test_urls_begin_with_the_place_of_the_project(
    package: "Package", workspace: dict[str, Any]
) -> None:
    place = workspace["tool"]["engine"]["repository"]

    assert package.project["urls"] == {
        "Homepage": place,
        "Documentation": f"{place}/tree/main/docs",
        "Source": f"{place}/tree/main/packages/{package.name}",
        "Changelog": f"{place}/blob/main/CHANGELOG.md",
        "Issues": f"{place}/issues",
    }


def test_packages_agree_on_what_is_published(packages: "tuple[Package, ...]") -> None:
    shared = ("version", "license", "license-files", "authors", "requires-python", "classifiers")
    for fact in shared:
        values = {repr(package.project[fact]) for package in packages}
        assert len(values) == 1, f"{fact}: {values}"


def test_classifiers_exist_and_have_no_license(package: "Package") -> None:
    stated = package.project["classifiers"]

    assert stated == sorted(set(stated) & known_classifiers)
    assert "Typing :: Typed" in stated
    assert package.project["license"] == "Apache-2.0"
    # PEP 639: a license by its SPDX name excludes classifiers of licenses.
    assert not any(classifier.startswith("License") for classifier in stated)


def test_keywords_begin_a_search(package: "Package") -> None:
    keywords = package.project["keywords"]

    assert keywords == sorted(set(keywords))
    assert {"deep learning", "pytorch"} < set(keywords)


def test_links_of_a_readme_work_on_an_index(
    package: "Package", root: Path, workspace: dict[str, Any]
) -> None:
    place = workspace["tool"]["engine"]["repository"]
    text = (package.folder / "README.md").read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)

    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    ours = [link.removeprefix(place) for link in links if link.startswith(place)]
    assert "/blob/main/LICENSE" in ours
    for link in filter(None, ours):
        match = re.fullmatch(r"/(?:blob|tree)/main/([^#]+)(?:#.*)?", link)
        assert match, link
        assert (root / match[1]).exists(), link


def test_extras_of_the_runner_bring_those_of_the_packages_below(
    packages: "tuple[Package, ...]",
) -> None:
    runner = next(package for package in packages if package.short == "runner")
    below = {package for package in packages if package.name != runner.name and package.extras}

    stated = set(runner.project["optional-dependencies"]["all"])

    own = {need for needs in runner.extras.values() for need in needs}
    assert stated == own | {f"{package.name}[all]>=0.1,<0.2" for package in below}


def test_uv_installs_what_pip_installs_for_development(
    root: Path, packages: "tuple[Package, ...]", workspace: dict[str, Any]
) -> None:
    lines = (root / "requirements-dev.txt").read_text().splitlines()
    tools = [line for line in lines if line and not line.startswith(("#", "-"))]

    group = workspace["dependency-groups"]["dev"]

    ours = [f"{package.name}[all]" for package in packages]
    assert group == [*ours, *sorted(tools, key=str.lower)]
    uv = workspace["tool"]["uv"]
    assert uv["constraint-dependencies"] == (root / "constraints.txt").read_text().split()
    assert uv["sources"].items() >= {p.name: {"workspace": True} for p in packages}.items()
    [index] = uv["index"]
    assert uv["sources"]["torch"][0]["index"] == index["name"]
    assert index["explicit"] is True
