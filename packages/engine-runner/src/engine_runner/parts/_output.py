"""Build the parts that report a run: log processor and visualizer."""

from collections.abc import Mapping
from typing import Any

from engine_logging import MMLogger
from engine_registry import LOG_PROCESSORS, VISUALIZERS
from engine_runner._log_processor import LogProcessor
from engine_runner._settings import TABLE
from engine_runner._types import Config
from engine_runner.environment import RunInfo
from engine_utils import ManagerMixin
from engine_visualization import Visualizer


def build_log_processor(log_processor: LogProcessor | Config | None) -> LogProcessor:
    """Return the log processor of a config, or the one given."""
    if not isinstance(log_processor, Mapping | None):
        return log_processor
    config = TABLE["log_processor"].with_type(log_processor or {})
    built: LogProcessor = LOG_PROCESSORS.build(config)
    return built


def build_logger(
    info: RunInfo, log_level: int | str, log_file: str | None, **kwargs: Any
) -> MMLogger:
    """Return the logger of a run.

    Args:
        info: The facts of the run; its name is the logger's.
        log_level: The least severe level that is shown.
        log_file: The file; ``<log_dir>/<timestamp>.log`` if None.
        **kwargs: Passed to `MMLogger`.
    """
    arguments = {"name": info.experiment_name, "logger_name": "engine", **kwargs}
    return MMLogger.get_instance(
        log_level=log_level, log_file=log_file or info.log_file, **arguments
    )


def build_visualizer(visualizer: Visualizer | Config | None, name: str, save_dir: str) -> Any:
    """Return the visualizer of a config, or the one given.

    Args:
        visualizer: A visualizer, its config, or ``None`` for one that keeps scalars in files.
        name: The name of the visualizer, where the config sets none.
        save_dir: The folder of its files, where the config sets none.
    """
    if not isinstance(visualizer, Mapping | None):
        return visualizer
    config = visualizer or {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}]}
    if set(config) > {"type", "name"}:
        _release_former(config)
    return VISUALIZERS.build({"name": name, "save_dir": save_dir, **config})


def _release_former(config: Config) -> None:
    """Free the name of a visualizer: that of an earlier run in this process keeps its own folder.

    Configs of the field name theirs ``visualizer``, all of them. An earlier run keeps its instance.
    """
    kind = config["type"]
    if isinstance(kind, str):  # looked up as `build` does: a library's is in its own registry
        kind = VISUALIZERS.in_default_scope().get(kind)
    if isinstance(kind, type) and issubclass(kind, ManagerMixin) and "name" in config:
        kind.release_instance(config["name"])
