"""Write the merged config of a run to its work directory."""

import logging
from pathlib import Path

from engine_config import Config, ConfigTypeError
from engine_fileio import put_text
from engine_runner.environment._shown_config import shown_config


def write_config(cfg: Config, path: Path, logger: logging.Logger) -> Config:
    """Write a config without its secrets, and return what was written.

    A value that the format of the file cannot hold is written to a Python file. A value without any
    text, such as an open file, is shown shortened. Both are logged, and neither ends the run.

    Args:
        cfg: The config.
        path: The file; its suffix is the format.
        logger: The logger of the run.
    """
    shown = shown_config(cfg)
    python = path.with_suffix(".py")
    for target in dict.fromkeys([path, python]):
        try:
            shown.dump(target)
        except ConfigTypeError as error:
            logger.warning(f"the config is not written to {target}: {error}")
        else:
            return shown
    put_text(shown.pretty_text, str(python))
    logger.warning(f"{python} shows these values shortened; a run cannot be repeated from it")
    return shown
