"""Set the registry scope of a base that another package ships."""

from __future__ import annotations

from typing import Any

from engine_config._dict import ConfigDict, marks_of
from engine_config._keys import SCOPE_KEY


def set_scope(value: Any, scope: str) -> None:
    """Set ``_scope_`` to the package of a base, in the outermost dicts with a type."""
    if isinstance(value, ConfigDict):
        if "type" in value:
            if SCOPE_KEY not in value:
                dict.__setitem__(value, SCOPE_KEY, scope)
                marks_of(value)[SCOPE_KEY] = marks_of(value)["type"]
            return  # building this dict switches the scope for all dicts inside it
        for item in dict.values(value):
            set_scope(item, scope)
    elif isinstance(value, list | tuple):
        for item in value:
            set_scope(item, scope)
