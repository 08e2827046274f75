"""Load the classes and functions that installed packages list as entry points.

An entry point of the group ``engine.<registry name>`` has one of two forms.
``name = "package.module:object"`` registers the object under that name. A module alone is imported,
and registers its own objects.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from engine_registry._search import Search

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@cache
def plugin_entry_points(registry_name: str) -> tuple[EntryPoint, ...]:
    """Return the entry points for a registry; the metadata is read once."""
    from importlib.metadata import entry_points  # slow, and only a failed look-up needs it

    return tuple(entry_points(group=f"engine.{registry_name}"))


def load_plugins(
    registry_name: str, key: str | None, modules: dict[str, Callable[..., Any]], search: Search
) -> None:
    """Load the entry points that may define ``key`` into the table of a root registry.

    Args:
        registry_name: The name of the registry.
        key: The name to look up; None loads all entry points.
        modules: The table of the registry; the loaded objects are added to it.
        search: The record of the look-up; the outcome is added to it.
    """
    for entry in plugin_entry_points(registry_name):
        # A module alone may register any name, so it is loaded for each key.
        wanted = not entry.attr or key is None or entry.name == key
        if not wanted or entry.name in modules or entry.value in search.imported:
            continue
        try:
            loaded = entry.load()
        except Exception as error:  # user code, which may raise anything
            search.failed[entry.value] = error
            continue
        search.imported.append(entry.value)
        if entry.attr:
            modules.setdefault(entry.name, loaded)
