"""Parts that installed packages announce in their metadata.

An entry point of the group ``engine.<registry name>`` is either ``name = "package.module:object"``,
registered under that name, or a module alone, which registers what it defines when imported.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from engine_registry._search import Search


@cache
def announced(registry_name: str) -> tuple[EntryPoint, ...]:
    """Return the entry points for a registry; the metadata is read once."""
    from importlib.metadata import entry_points  # slow, and needed by a miss only

    return tuple(entry_points(group=f"engine.{registry_name}"))


def load_plugins(
    registry_name: str, key: str | None, modules: dict[str, Callable[..., Any]], search: Search
) -> None:
    """Load what may bring ``key`` (all, if it is None) into the table of a root registry."""
    for entry in announced(registry_name):
        wanted = not entry.attr or key is None or entry.name == key
        if not wanted or entry.name in modules or entry.value in search.imported:
            continue
        try:
            loaded = entry.load()
        except Exception as error:
            search.failed[entry.value] = error
            continue
        search.imported.append(entry.value)
        if entry.attr:
            modules.setdefault(entry.name, loaded)
