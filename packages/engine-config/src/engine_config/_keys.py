"""Handle key paths, and the reserved keys of configs."""

from __future__ import annotations

from typing import Any, Final

BASE_KEY: Final = "_base_"
SCOPE_KEY: Final = "_scope_"
# Keys that control the merge with the base. They are removed from the merged value.
DELETE_KEY: Final = "_delete_"
LIST_EDITS: Final = frozenset(
    ["_append_", "_insert_", "_insert_after_", "_prepend_", "_remove_", "_replace_", "_update_"]
)
COMMANDS: Final = LIST_EDITS | {DELETE_KEY}
_ATTRIBUTES: Final = (
    "filename",
    "text",
    "pretty_text",
    "env_variables",
)  # of Config, by the manual


def join(path: str, key: Any) -> str:
    """Return the dotted path of a key below a path."""
    return f"{path}.{key}" if path else str(key)


def malformed(dotted: str) -> str:
    """Return the reason why a text is not a valid dotted key, or an empty string if it is valid."""
    return "" if all(dotted.split(".")) else "a key must not have an empty part between dots"


def reserved(key: object) -> str:
    """Return the reason why a top-level key is not allowed, or an empty string if it is allowed."""
    if not isinstance(key, str):
        return f"top-level keys must be strings, got {type(key).__name__}"
    if key in _ATTRIBUTES:
        return "this name is reserved for Config itself; rename the key"
    if key == BASE_KEY or key in COMMANDS or key.startswith("__"):
        return "this name has a meaning inside config files; rename the key"
    return ""
