"""Each package lists its public names, sorted, and documents them."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.workspace.conftest import Package


def public_modules(package: "Package") -> Iterator[str]:
    """Yield the package and its folders without an underscore."""
    for file in sorted(package.source.rglob("__init__.py")):
        parts = file.parent.relative_to(package.source.parent).parts
        if not any(part.startswith("_") for part in parts):
            yield ".".join(parts)


def imported_names(tree: ast.Module) -> set[str]:
    """Return the public names that a module's top level imports from our packages or defines."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("engine_"):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


def sort_key(name: str) -> tuple[int, list[str | int]]:
    """Sort constants, then classes, then the rest, each in natural order, as ruff's RUF022 does."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def test_all_is_sorted_and_complete(package: "Package") -> None:
    for name in public_modules(package):
        module = importlib.import_module(name)
        tree = ast.parse(inspect.getsource(module))
        stated = list(module.__all__)

        assert stated == sorted(stated, key=sort_key), f"{name}.__all__ is not sorted"
        assert len(set(stated)) == len(stated), f"{name}.__all__ names one twice"
        assert imported_names(tree) - set(stated) == set(), f"{name}.__all__ misses some"
        assert [n for n in stated if not hasattr(module, n)] == [], f"{name} lacks some"


def test_every_public_name_has_a_docstring(package: "Package") -> None:
    bare = []
    for name in public_modules(package):
        module = importlib.import_module(name)
        if not inspect.getdoc(module):
            bare.append(name)
        for public in module.__all__:
            value = getattr(module, public)
            documented = inspect.isclass(value) or inspect.isroutine(value)
            if documented and not (value.__doc__ or "").strip():
                bare.append(f"{name}.{public}")

    assert bare == []


def test_every_public_class_has_an_example(package: "Package") -> None:
    bare = []
    for name in public_modules(package):
        module = importlib.import_module(name)
        for public in module.__all__:
            value = getattr(module, public)
            ours = inspect.isclass(value) and value.__module__.startswith(package.module)
            plain = ours and not issubclass(value, BaseException) and not is_protocol(value)
            if plain and ">>>" not in (value.__doc__ or ""):
                bare.append(f"{name}.{public}")

    assert bare == []


def is_protocol(value: type) -> bool:
    return bool(getattr(value, "_is_protocol", False))
