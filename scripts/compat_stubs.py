"""Write the stubs of engine-compat, one per module of its table.

Editors and type checkers read the names of `mmengine` from them.

    python scripts/compat_stubs.py           # write each stub, and remove those of no module
    python scripts/compat_stubs.py --check   # list those that are not current, and exit with 1
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "packages/engine-compat/src/mmengine"
sys.path.insert(0, str(PACKAGE.parent))  # its `_table` needs nothing that is not here

from mmengine._finder import FILES, stub_of  # noqa: E402  # the path is set above
from mmengine._names import MODULES  # noqa: E402
from mmengine._table import sources, submodules  # noqa: E402

WIDTH = 100
# The finder makes the modules. A thread that imports one while another still imports `mmengine`
# finds no finder yet, but this file.
MODULE = '''"""Written by scripts/compat_stubs.py."""

import sys

from mmengine._finder import take_over

take_over(sys.modules[__name__])
'''
ROOT_FACTS = ["__version__: str", "version_info: tuple[int, int, int]"]


def sort_key(name: str) -> tuple[int, list[str | int]]:
    """Sort constants, then classes, then the rest, each in natural order, as ruff does."""
    bare = name.lstrip("_") or name
    kind = 0 if name.isupper() and len(bare) > 1 else 1 if bare[0].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def wrapped(opening: str, items: list[str], closing: str) -> list[str]:
    """Return a list in one line, or in a line per item where that is too long."""
    one = f"{opening}{', '.join(items)}{closing}"
    return [one] if len(one) <= WIDTH else [opening, *(f"    {item}," for item in items), closing]


def imports(module: str) -> Iterator[str]:
    """Yield the lines that import the names of a module, and the modules below it."""
    plain, renamed = defaultdict(list), []
    for public, origin in sources(module).items():
        source, _, original = origin.partition(":")
        if public == original:
            plain[source].append(public)
        else:
            renamed.append((source, original, public))
    statements = []
    for source, names in plain.items():
        names.sort(key=sort_key)
        one = f"from {source} import {', '.join(names)}"
        many = [f"from {source} import (", *(f"    {name}," for name in names), ")"]
        statements.append((source, 0, [one] if len(one) <= WIDTH else many))
    for source, original, public in renamed:
        statements.append((source, 1, [f"from {source} import {original} as {public}"]))
    for name in submodules(module):
        if name not in sources(module):
            statements.append((module, 1, [f"from {module} import {name} as {name}"]))
    for _, _, lines in sorted(statements, key=lambda one: (one[0], one[1], one[2])):
        yield from lines


def stub(module: str) -> str:
    """Return the text of the stub of a module."""
    facts = ["", *ROOT_FACTS] if module == "mmengine" else []
    names = sorted(sources(module), key=sort_key)
    lines = [
        '"""Written by scripts/compat_stubs.py."""',
        "",
        *imports(module),
        *facts,
        "",
        *wrapped("__all__ = [", [f'"{name}"' for name in names], "]"),
    ]
    return "\n".join(lines) + "\n"


def files() -> Iterator[tuple[Path, str]]:
    """Yield each file with its text."""
    for module in MODULES:
        yield Path(stub_of(module)), stub(module)
        if module != "mmengine":
            yield Path(stub_of(module)).with_suffix(".py"), MODULE


def main() -> int:
    """Write the files, or compare them; return 1 if ``--check`` finds a difference."""
    wanted = dict(files())
    by_hand = {PACKAGE / "__init__.py", *(PACKAGE / f"{name[9:]}.py" for name in FILES)}
    present = {*PACKAGE.rglob("*.pyi"), *PACKAGE.rglob("*.py")} - by_hand
    stale = [file for file in wanted if file not in present or file.read_text() != wanted[file]]
    extra = sorted(present - set(wanted))
    if sys.argv[1:] == ["--check"]:
        for file in (*stale, *extra):
            print(f"{file}: not current; run: python scripts/compat_stubs.py")
        return int(bool(stale or extra))
    for file in extra:
        file.unlink()
    for file in stale:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(wanted[file])
    return 0


if __name__ == "__main__":
    sys.exit(main())
