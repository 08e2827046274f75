"""Read the table: the names of a module, where each is, and the modules below it."""

from mmengine._names import MODULES

TABLE = __file__.replace("_table.py", "_names.py")
_read: dict[str, dict[str, str]] = {}


def sources(module: str) -> dict[str, str]:
    """Return, for each name of a module of the table, where it is: ``engine_model:BaseModel``.

    Args:
        module: The name of the module, such as ``mmengine.model``.
    """
    if module not in _read:
        found: dict[str, str] = {}
        for row in MODULES[module]:
            found |= _of_row(row)
        _read[module] = found
    return _read[module]


def _of_row(row: str) -> dict[str, str]:
    origin, colon, names = row.partition(": ")
    if not colon:
        return {k: v for other in row.split() for k, v in sources(other).items()}
    pairs = [name.partition("=") for name in names.split()]
    return {public: f"{origin}:{original or public}" for public, _, original in pairs}


def public_names(module: str) -> list[str]:
    """Return the names of a module that ``from module import *`` imports.

    Constants come first, then classes, then the rest, each sorted.
    """
    names = sorted(name for name in sources(module) if not name.startswith("_"))
    return sorted(names, key=lambda name: 0 if name.isupper() else 1 if name[0].isupper() else 2)


def submodules(module: str) -> list[str]:
    """Return the last names of the modules right below a module of the table."""
    depth = module.count(".") + 1
    return [
        name.rsplit(".", 1)[1]
        for name in MODULES
        if name.startswith(f"{module}.") and name.count(".") == depth
    ]
