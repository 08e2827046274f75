"""One look-up: what was searched, what was imported for it, and what could not be."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from engine_registry._names import checked_string

if TYPE_CHECKING:
    from engine_registry._registry import Registry


class Search:
    """The record of one look-up, kept for the message of a miss.

    Attributes:
        searched: The registries whose locations were imported for it.
        imported: The modules that were imported.
        missing: Those that are not installed, with the error.
        failed: Those that are, and failed, with the error.
    """

    def __init__(self) -> None:
        self.searched: list[Registry] = []
        self.imported: list[str] = []
        self.missing: dict[str, Exception] = {}
        self.failed: dict[str, Exception] = {}


class Locations:
    """Modules that are imported when a name is not found.

    A package that is not installed is asked for again at the next miss. One that fails while it
    is imported is not run a second time: its error is kept.

    Attributes:
        pending: What was not imported yet.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        if isinstance(modules, str):
            raise TypeError(f"locations is a list of modules: write [{modules!r}]")
        self.pending = [checked_string("a location", module) for module in modules]
        self._failed: dict[str, Exception] = {}

    def load(self, search: Search) -> None:
        """Import what was not imported yet, and record what came of it."""
        # A module stays pending until its import is done, so that another thread waits for it
        # (in the import system) rather than miss what it is about to register.
        for module in list(self.pending):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                if _is_part_of(error.name, module):
                    search.missing[module] = error
                    continue
                self._failed[module] = error
            except Exception as error:
                self._failed[module] = error
            else:
                search.imported.append(module)
            with suppress(ValueError):  # another thread may have removed it
                self.pending.remove(module)
        search.failed.update(self._failed)


def import_object(path: str, search: Search) -> Callable[..., Any] | None:
    """Return the class or function at a dotted path such as ``torch.nn.Linear``.

    Returns:
        None if there is no such module, or it has no such attribute that can be called.
    """
    parts = path.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    for count in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:count])
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not _is_part_of(error.name, module):
                search.failed[module] = error
                return None
            continue
        except Exception as error:
            search.failed[module] = error
            return None
        for name in parts[count:]:
            found = getattr(found, name, None)
        return found if callable(found) else None
    return None


def import_function(value: str) -> Callable[..., Any]:
    """Return the function that a string such as ``"package.module:function"`` names.

    Raises:
        ValueError: the string has another form.
        ImportError: there is no such module, or it has no such function.
    """
    module, colon, name = value.partition(":")
    if not (module and colon and name):
        raise ValueError(f'a function is named as "package.module:function", not {value!r}')
    found = getattr(importlib.import_module(module), name, None)
    if not callable(found):
        raise ImportError(f"module {module} has no function {name!r}", name=module)
    return found  # type: ignore[no-any-return]  # callable() narrows Any no further


def _is_part_of(missing: str | None, module: str) -> bool:
    return missing is not None and (module == missing or module.startswith(missing + "."))
