"""Import modules, classes and functions by their names."""

import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from engine_registry._names import checked_string
from engine_registry._search import Search


class Locations:
    """Modules that are imported when a name is not found.

    A module that is not installed is tried again at the next failed look-up. A module that raises
    during its import runs only once, and its error is kept.

    Args:
        modules: The names of the modules.

    Attributes:
        pending: The modules that are not imported yet.

    Raises:
        TypeError: ``modules`` is a string, or holds something other than strings.

    Example:
        >>> locations = Locations(["string", "no_such_module"])
        >>> search = Search()
        >>> locations.load(search)
        >>> search.imported, locations.pending
        (['string'], ['no_such_module'])
    """

    def __init__(self, modules: Sequence[str]) -> None:
        if isinstance(modules, str):
            raise TypeError(f"locations must be a list of modules, got {modules!r}; add brackets")
        self.pending = [checked_string("a location", module) for module in modules]
        self._failed: dict[str, Exception] = {}

    def load(self, search: Search) -> None:
        """Import the pending modules, and record the outcome."""
        # A module stays pending until its import is done. A second thread then waits for the
        # import, instead of missing a name that is about to be registered.
        for module in list(self.pending):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                if is_part_of(error.name, module):
                    search.missing[module] = error
                    continue
                # The module exists, but it imports one that does not exist.
                self._failed[module] = error
            except Exception as error:  # user code, which may raise anything
                self._failed[module] = error
            else:
                search.imported.append(module)
            with suppress(ValueError):  # another thread may have removed it
                self.pending.remove(module)
        search.failed.update(self._failed)


def import_object(path: str, search: Search) -> Callable[..., Any] | None:
    """Return the class or function at a dotted path such as ``torch.nn.Linear``, or the module.

    Returns:
        None if there is no such module, or it has no callable of that name.
    """
    parts = path.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    # Find the longest prefix that is a module: `a.b.C.make` may be a method of a class in `a.b`.
    for count in range(len(parts), 0, -1):
        module = ".".join(parts[:count])
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not is_part_of(error.name, module):
                search.failed[module] = error
                return None
            continue
        except Exception as error:  # as above
            search.failed[module] = error
            return None
        for name in parts[count:]:
            found = getattr(found, name, None)
        return found if callable(found) or count == len(parts) else None
    return None


def import_function(value: str) -> Callable[..., Any]:
    """Return the function that a string such as ``"package.module:function"`` names.

    Raises:
        ValueError: The string has another form.
        ImportError: There is no such module, or it has no such function.
    """
    module, colon, name = value.partition(":")
    if not (module and colon and name):
        raise ValueError(f'a function must be named "package.module:function", got {value!r}')
    found = getattr(importlib.import_module(module), name, None)
    if not callable(found):
        raise ImportError(f"module {module} has no function {name!r}", name=module)
    return found  # type: ignore[no-any-return]  # callable() narrows Any no further


def is_part_of(missing: str | None, module: str) -> bool:
    """Return whether the name of a missing module is that of an import, or above it."""
    # An import of `a.b.c` fails with the name `a`, `a.b` or `a.b.c` if it is not installed.
    return missing is not None and (module == missing or module.startswith(missing + "."))
