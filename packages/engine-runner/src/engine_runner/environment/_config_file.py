"""Write the merged config of a run to its work directory."""

import logging
from pathlib import Path
from typing import Any, Protocol

from engine_config import Config, ConfigError, ConfigTypeError
from engine_fileio import put_text
from engine_runner.environment._shown_config import shown_config


class _Run(Protocol):
    cfg: Config
    visualizer: Any

    @property
    def logger(self) -> logging.Logger: ...
    @property
    def is_main(self) -> bool: ...
    @property
    def timestamp(self) -> str: ...
    @property
    def work_dir(self) -> str: ...


def dump_config(run: _Run) -> None:
    """Write the merged config, without secrets, to the work directory and the visualizer.

    Args:
        run: The run; its main rank writes.
    """
    if run.is_main and run.cfg:
        name = Path(run.cfg.filename or f"{run.timestamp}.py").name
        shown = write_config(run.cfg, Path(run.work_dir) / name, run.logger)
        run.visualizer.add_config(shown)


def write_config(cfg: Config, path: Path, logger: logging.Logger) -> Config:
    """Write a config without its secrets, and return what was written.

    A value that the format of the file cannot hold is written to a Python file. A value without any
    text, such as a model or an open file, is shown shortened. One line of the log states either,
    and neither ends the run.

    Args:
        cfg: The config.
        path: The file; its suffix is the format.
        logger: The logger of the run.
    """
    shown = shown_config(cfg)
    python = path.with_suffix(".py")
    try:
        shown.dump(path)
        return shown
    except ConfigTypeError as error:
        first = error
    if path != python:
        try:
            shown.dump(python)
        except ConfigTypeError as error:
            first = error
        else:
            logger.warning(f"{path.name} cannot hold {first.key_path}; the config is in {python}")
            return shown
    put_text(shown.pretty_text, str(python))
    logger.warning(
        f"the config is written with shortened objects, such as {first.key_path}; "
        f"{python.name} cannot repeat the run"
    )
    return _read_back(shown)


def _read_back(shown: Config) -> Config:
    """Return the config with shortened objects, so that backends write it without a warning."""
    try:
        shortened = Config.fromstring(shown.pretty_text, ".py")
    except ConfigError:
        return shown
    return Config(shortened._cfg_dict, filename=shown.filename)
