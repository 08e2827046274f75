"""The values of a config and the files of a run, in the forms that tracking services take."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine_utils import did_you_mean, expand_home

_logger = logging.getLogger("engine.visualization")

_SCALARS = (str, int, float, bool, type(None))
_LOG_FOLDER = "vis_data"  # of a visualizer, inside the folder of a run's logs


def nested_values(config: Any) -> dict[str, Any]:
    """Return the values of a config as dicts, lists and scalars; any other value as its text.

    Args:
        config: A config of engine-config or a mapping. Another object has no values.
    """
    to_dict = getattr(config, "to_dict", None)
    values = to_dict() if callable(to_dict) else config
    return _plain(values) if isinstance(values, Mapping) else {}


def flat_values(config: Any, keys: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the scalars of a config by dotted key, such as ``"model.layers.0.type"``.

    Args:
        config: As for `nested_values`.
        keys: The top-level keys to return; ``None`` for all. An unknown one is logged.
    """
    values = nested_values(config)
    for key in keys or ():
        if key not in values:
            hint = did_you_mean(key, list(values))
            _logger.warning("the config has no key %r to track%s", key, hint)
    chosen = values if keys is None else {key: values[key] for key in keys if key in values}
    found: dict[str, Any] = {}
    _flatten(chosen, "", found)
    return found


def work_dir_of(config: Any) -> Path | None:
    """Return the folder of checkpoints that a config names, if any."""
    work_dir = nested_values(config).get("work_dir")
    return Path(expand_home(work_dir)) if isinstance(work_dir, str) else None


def written_files(
    save_dir: str, work_dir: Path | None, suffixes: Sequence[str], since: float
) -> list[Path]:
    """Return the files of a run, sorted: those in its log folder, and at the top of ``work_dir``.

    Hidden folders are left out: the databases of other services.

    Args:
        save_dir: The folder of the backend.
        work_dir: The folder of checkpoints, which may have those of earlier runs.
        suffixes: The ends of the names.
        since: The time in seconds before which a file belongs to an earlier run.
    """
    home = Path(save_dir)
    home = home.parent if home.name == _LOG_FOLDER else home
    found = set(home.rglob("*"))
    if work_dir is not None and work_dir.is_dir():
        found |= set(work_dir.iterdir())
    ends = tuple(suffixes)
    return sorted(
        path
        for path in found
        if path.name.endswith(ends)
        and not _is_hidden(path, home)
        and path.is_file()
        and path.stat().st_mtime >= since
    )


def _is_hidden(path: Path, home: Path) -> bool:
    inside = path.relative_to(home) if path.is_relative_to(home) else path
    return any(part.startswith(".") for part in inside.parts)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, _SCALARS) else str(value)


def _flatten(value: Any, path: str, found: dict[str, Any]) -> None:
    """Add the scalars in a value; a list without dicts and lists is one value, its text."""
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(item, f"{path}.{key}" if path else key, found)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value):
            _flatten(item, f"{path}.{number}", found)
    else:
        found[path] = str(value) if isinstance(value, list) else value
