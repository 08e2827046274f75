"""What the pages show is run, and what they name exists."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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


def as_script(page: Path) -> str:
    """The page's python blocks as one script, each on the lines it has in the page."""
    lines: list[str] = []
    for block in blocks(page):
        if block.info == "python":
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    return "\n".join(lines) + "\n"


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, (
        f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )


PAGES_WITH_CODE = [page for page in pages() if as_script(page).strip()]
COMMANDS = [
    (page, block.text) for page in pages() for block in blocks(page) if block.info == "bash run"
]


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=name_of)
def test_python_blocks_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    script = tmp_path / f"{page.parent.name}_{page.stem}.py"
    script.write_text(as_script(page))

    run([sys.executable, "-W", "error::DeprecationWarning:__main__", str(script)], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("page", "commands"), COMMANDS, ids=lambda value: str(value)[-30:])
def test_marked_commands_of_a_page_run_in_order(page: Path, commands: str, tmp_path: Path) -> None:
    """A block fenced as ``bash run`` is run beside a copy of the examples."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", dirs_exist_ok=True)
    scripts = Path(sys.executable).parent

    run(["bash", "-ec", f'PATH="{scripts}:$PATH"\n{commands}'], tmp_path)


def test_every_package_has_an_example_worth_installing_it_for() -> None:
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
        if package == "x":  # stands for any package
            continue
        pyproject = (ROOT / f"packages/engine-{package}/pyproject.toml").read_text()
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", pyproject, flags=re.M), f"{package}[{extra}]"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
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
