"""Read the configs of runs as data, and list where they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine_config import Config, ConfigError
from engine_utils import mask_secrets, mask_text

ABSENT = "—"
_OWN = ("work_dir",)  # differs in each run
_LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The config of a run: its text, and its values by key.

    Example:
        >>> RunConfig(text="lr = 0.1", values={"lr": "0.1"}).values["lr"]
        '0.1'
    """

    text: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def read_config(vis_data: Path) -> RunConfig:
    """Read the config that a run stored, without running its code.

    Args:
        vis_data: The folder of the records.
    """
    path = next((p for p in sorted(vis_data.glob("config.*")) if p.is_file()), None)
    if path is None:
        return RunConfig(problem="the run has no config file")
    text = mask_text(path.read_text(encoding="utf-8", errors="replace"))
    try:
        config = Config.fromstring(
            text, path.suffix, execute=False, use_environment_variables=False
        )
        values = _flat(mask_secrets(config.to_dict()))
    except (ConfigError, ValueError, TypeError, RecursionError) as error:
        return RunConfig(text=text, problem=f"{path.name} cannot be read as data: {error}")
    return RunConfig(text=text, values=values)


def differences(configs: Sequence[RunConfig]) -> list[tuple[str, list[str]]]:
    """Return the keys whose values differ among configs, each with one value per config.

    Args:
        configs: The configs.

    Example:
        >>> a, b = (RunConfig(values={"lr": lr, "seed": "0"}) for lr in ("0.1", "0.2"))
        >>> differences([a, b])
        [('lr', ['0.1', '0.2'])]
    """
    keys = dict.fromkeys(key for config in configs for key in config.values)
    rows = [(key, [c.values.get(key, ABSENT) for c in configs]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1 and key not in _OWN]


def _flat(value: Any, key: str = "") -> dict[str, str]:
    """Return the leaves of a value by their dotted keys."""
    if isinstance(value, Mapping) and value:
        pairs = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, list | tuple) and any(isinstance(i, Mapping) for i in value):
        pairs = [(str(place), item) for place, item in enumerate(value)]
    else:
        text = repr(value)
        return {key: text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"}
    flat: dict[str, str] = {}
    for name, item in pairs:
        flat.update(_flat(item, f"{key}.{name}" if key else name))
    return flat
