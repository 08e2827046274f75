"""Find the line of a config that the error of a construction comes from."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine_config import Config, ConfigError
from engine_registry import ConstructionError


def place_of(error: BaseException, config: Config | None) -> str:
    """Return ``file:line: key: `` of the part that could not be built, or an empty text.

    A value of the command line has its option in place of the file and line.

    Args:
        error: The error.
        config: The merged config, or None before it is read.
    """
    if config is None or not isinstance(error, ConstructionError) or not error.config:
        return ""
    parts = (part for key in config for part in _parts(config[key], str(key)))
    places = [path for path, part in parts if _is_of(part, error.config)]
    if len(places) != 1:  # none, or several equal ones, of which any may be the one
        return ""
    try:
        origin = config.origin(places[0])
    except ConfigError:
        return ""
    return f"{origin}: {places[0]}: "


def _parts(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each mapping with a ``type``, and its key path."""
    if isinstance(value, Mapping):
        if "type" in value:
            yield path, value
        items: Any = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return
    for key, item in items:
        yield from _parts(item, f"{path}.{key}")


def _is_of(part: Mapping[str, Any], built: Mapping[str, Any]) -> bool:
    """Return whether ``built`` has every key of ``part``; a builder may have added others."""
    for key, value in part.items():
        if key not in built:
            return False
        try:
            same = bool(value == built[key]) or isinstance(value, Mapping)
        except (TypeError, ValueError, RuntimeError):  # arrays: their elements are compared
            same = True
        if not same:
            return False
    return True
