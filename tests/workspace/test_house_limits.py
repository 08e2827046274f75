"""Files and functions are short."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

MAX_FILE, MAX_FUNCTION, USUAL_FUNCTION = 400, 50, 25
FOLDERS = ["packages", "tests", "benchmarks", "examples", "docs"]


def python_files(root: Path, folders: list[str]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


def function_sizes(file: Path) -> Iterator[tuple[str, int]]:
    """Yield each function of a file with its number of lines, without its docstring.

    A constructor counts from its body: each of its documented parameters has a line of its own.
    """
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0].lineno if node.name == "__init__" else node.lineno
            lines = (node.end_lineno or node.lineno) - first + 1
            if ast.get_docstring(node, clean=False) is not None:
                text = node.body[0]
                lines -= (text.end_lineno or text.lineno) - text.lineno + 1
            yield f"{file.name}:{node.lineno} {node.name}", lines


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_is_too_long(root: Path, folder: str) -> None:
    sizes = {
        str(file.relative_to(root)): len(file.read_text().splitlines())
        for file in python_files(root, [folder])
    }

    assert {name: size for name, size in sizes.items() if size > MAX_FILE} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_function_is_too_long(root: Path, folder: str) -> None:
    sizes = {
        name: size for file in python_files(root, [folder]) for name, size in function_sizes(file)
    }

    assert {name: size for name, size in sizes.items() if size > MAX_FUNCTION} == {}


def test_nine_functions_of_ten_are_short(root: Path) -> None:
    sizes = [size for file in python_files(root, ["packages"]) for _, size in function_sizes(file)]

    assert sum(size < USUAL_FUNCTION for size in sizes) >= 0.9 * len(sizes)


def test_test_files_have_names_of_their_own(root: Path) -> None:
    names = [file.name for file in (root / "tests").rglob("test_*.py")]

    assert sorted(name for name in set(names) if names.count(name) > 1) == []
