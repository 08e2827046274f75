"""The code on the pages runs, and the names on them exist. tests/e2e runs their commands."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Scripts

ROOT = Path(__file__).parents[2]
WITHOUT_TORCH = {"config", "fileio", "logging", "registry", "utils"}  # tested not to load it
FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", flags=re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its info string, its text and its first line's number."""

    info: str
    text: str
    line: int


def pages() -> list[Path]:
    places = ("*.md", "packages/*/README.md", "benchmarks/*.md", "docs/**/*.md", "examples/**/*.md")
    return sorted(page for place in places for page in ROOT.glob(place))


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        yield Block(info=match[1].strip(), text=match[2], line=line)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def is_without_torch(page: Path) -> bool:
    return page.parent.name.removeprefix("engine-") in WITHOUT_TORCH


def as_script(page: Path) -> str:
    """Return the page's python blocks as one script, each on its lines of the page."""
    lines: list[str] = []
    for block in blocks(page):
        if block.info == "python":
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    return "\n".join(lines) + "\n"


PAGES_WITH_CODE = [page for page in pages() if as_script(page).strip()]


@pytest.fixture
def script_of(tmp_path: Path) -> Callable[[Path], Path]:
    """Return a function that writes the code of a page to a script, and returns its path."""

    def write(page: Path) -> Path:
        script = tmp_path / f"{page.parent.name}_{page.stem}.py"
        script.write_text(as_script(page))
        return script

    return write


@pytest.mark.parametrize(
    "page", [p for p in PAGES_WITH_CODE if not is_without_torch(p)], ids=name_of
)
def test_python_blocks_of_a_page_run_in_order(
    page: Path,
    tmp_path: Path,
    script_of: Callable[[Path], Path],
    scripts: "Scripts",
) -> None:
    done = scripts.run(script_of(page), folder=tmp_path)

    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("page", [p for p in PAGES_WITH_CODE if is_without_torch(p)], ids=name_of)
def test_python_blocks_of_a_page_run_in_order_without_torch(
    page: Path, tmp_path: Path, script_of: Callable[[Path], Path]
) -> None:
    command = [sys.executable, "-W", "error::DeprecationWarning:__main__", str(script_of(page))]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)

    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_every_package_has_an_example() -> None:
    bare = [name_of(p) for p in ROOT.glob("packages/*/README.md") if p not in PAGES_WITH_CODE]

    assert bare == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_make_targets_named_in_a_page_exist(page: Path) -> None:
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), flags=re.M))

    named = set(re.findall(r"(?:`|^)make ([a-z][\w-]*)", page.read_text(), flags=re.M))

    assert named <= targets


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_extras_named_in_a_page_exist(page: Path) -> None:
    named = re.findall(r"engine-([a-z]+)\[([\w,-]+)\]", page.read_text())
    for package, extras in named:
        if package == "x":  # a placeholder for any package
            continue
        pyproject = (ROOT / f"packages/engine-{package}/pyproject.toml").read_text()
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", pyproject, flags=re.M), f"{package}[{extra}]"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_of_a_page_exist(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)

    dead = [link for link in links if "://" not in link and not (page.parent / link).exists()]

    assert dead == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_scripts_named_in_a_page_exist(page: Path) -> None:
    named = set(re.findall(r"\b(?:scripts|benchmarks)/[\w.-]+\w", page.read_text()))

    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_benchmark_is_listed() -> None:
    listed = re.findall(
        r"^\| \[`([\w.]+)`\]", (ROOT / "benchmarks/README.md").read_text(), flags=re.M
    )

    assert listed == sorted(script.name for script in (ROOT / "benchmarks").glob("*.py"))
