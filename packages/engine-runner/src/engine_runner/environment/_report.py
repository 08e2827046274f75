"""Report the environment of a run, for its log."""

from collections.abc import Mapping
from typing import Any

from engine_config import Config
from engine_dist import get_world_size
from engine_logging import MMLogger
from engine_runner.environment._shown_config import shown_config
from engine_utils.dl_utils import collect_env

_LINE = "-" * 60


def log_environment(logger: MMLogger, seed: int, cfg: Config) -> None:
    """Log the environment and the config of a run; on the console only at the level ``DEBUG``.

    Args:
        logger: The run's logger.
        seed: The seed of the run.
        cfg: The run's config.
    """
    logger.info(environment_report(seed, cfg), extra={"file_only": True})


def environment_report(seed: int | None, cfg: Config | None = None) -> str:
    """Return system, library versions, devices and the run's settings as text.

    Args:
        seed: The seed of the run, or ``None`` outside of one.
        cfg: The run's config, whose text is appended without its secrets.
    """
    runtime: dict[str, Any] = {"Distributed training": get_world_size() > 1}
    if seed is not None:
        runtime["Seed"] = seed
    runtime["GPU number"] = get_world_size()
    text = f"\n{_LINE}\nSystem environment:\n{_rows(collect_env())}"
    text += f"\n\nRuntime environment:\n{_rows(runtime)}\n{_LINE}"
    return f"{text}\nConfig:\n{shown_config(cfg).pretty_text}" if cfg else text


def _rows(entries: Mapping[str, Any]) -> str:
    return "\n".join(f"    {name}: {value}" for name, value in entries.items())
