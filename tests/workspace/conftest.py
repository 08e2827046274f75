"""The packages and the pages, for the tests of the workspace."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
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


FENCE = re.compile(r"^(?P<fence>```+)(?P<info>.*?)\n(?P<text>.*?)^(?P=fence)$", flags=re.M | re.S)
PLACES = ("*.md", "packages/*/README.md", "benchmarks/*.md", "docs/**/*.md", "examples/**/*.md")
WITHOUT_TORCH = {"config", "fileio", "logging", "registry", "utils"}  # tested not to load it


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its info string, its text and its first line's number."""

    info: str
    text: str
    line: int

    @property
    def language(self) -> str:
        return self.info.partition(" ")[0]

    @property
    def file(self) -> str | None:
        """Return the path that the block is written to: the ``NAME`` of ``file=NAME``."""
        found = re.search(r" file=(\S+)$", self.info)
        return found[1] if found else None


@dataclass(frozen=True)
class Page:
    """A page of Markdown in the tree."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def prose(self) -> str:
        """Return the text without its blocks; lines keep their numbers."""
        return FENCE.sub(lambda block: "\n" * block[0].count("\n"), self.text)

    @property
    def is_without_torch(self) -> bool:
        return self.path.parent.name.removeprefix("engine-") in WITHOUT_TORCH

    def blocks(self) -> Iterator[Block]:
        text = self.text
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start("text")) + 1
            yield Block(info=match["info"].strip(), text=match["text"], line=line)

    def as_script(self) -> str:
        """Return the blocks as one script; the code is on its lines of the page.

        A block with ``file=NAME`` becomes a call that writes the file, and a block of ``bash run``
        one that runs the commands. The commands of README.md run in tests/e2e instead.
        """
        lines: list[str] = []
        for block in self.blocks():
            if block.file:
                code, line = [_write_call(block.file, block.text)], block.line - 1
            elif block.info == "bash run" and self.path != ROOT / "README.md":
                code, line = [_run_call(block.text)], block.line - 1
            elif block.info == "python":
                code, line = block.text.splitlines(), block.line
            else:
                continue
            lines += [""] * (line - 1 - len(lines)) + code
        return "\n".join(lines).rstrip() + "\n"


def _write_call(name: str, text: str) -> str:
    """Return a line of Python that writes a file, and lets a later import find it."""
    return (
        f"__import__('pathlib').Path({name!r}).parent.mkdir(parents=True, exist_ok=True); "
        f"__import__('pathlib').Path({name!r}).write_text({text!r}); "
        "__import__('importlib').invalidate_caches()"
    )


def _run_call(text: str) -> str:
    """Return a line of Python that runs commands, and raises for the first that fails."""
    return (
        "print(end='', flush=True); "
        f"__import__('subprocess').run(['bash', '-euc', {text!r}], check=True)"
    )


@cache
def all_pages() -> tuple[Page, ...]:
    return tuple(Page(path) for place in PLACES for path in sorted(ROOT.glob(place)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once per value of its argument ``package``, ``page`` or ``page_with_code``."""
    names = metafunc.fixturenames
    if "package" in names:
        metafunc.parametrize("package", all_packages(), ids=lambda package: package.short)
    if "page" in names:
        metafunc.parametrize("page", all_pages(), ids=lambda page: page.name)
    if "page_with_code" in names:
        pages = [page for page in all_pages() if page.as_script().strip()]
        metafunc.parametrize("page_with_code", pages, ids=lambda page: page.name)


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


@pytest.fixture
def page_of(tmp_path: Path) -> Callable[[str], Page]:
    """Return a function that writes a page with a text, and returns the page."""

    def write(text: str) -> Page:
        page = tmp_path / "page.md"
        page.write_text(text)
        return Page(page)

    return write
