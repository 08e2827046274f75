"""Merge the meta information of a dataset from its class and its arguments."""

import copy
import logging
import os
from collections.abc import Mapping
from typing import Any

from engine_fileio import list_from_file
from engine_utils import expand_home

_logger = logging.getLogger("engine.dataset")


def merged_metainfo(of_class: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of the meta information of a class, with that of the argument over it.

    Raises:
        TypeError: ``given`` is neither a dict nor a Config.
    """
    # A Config is not a Mapping; this package does not import it.
    if given is not None and not (isinstance(given, Mapping) or hasattr(given, "to_dict")):
        raise TypeError(
            f"metainfo must be a dict or a Config, got {type(given).__name__}: {given!r}"
        )
    values = {} if given is None else {key: _lines_or(given[key]) for key in given}
    return copy.deepcopy({**of_class, **values})


def _lines_or(value: Any) -> Any:
    """Return the lines of the file that a value names, or the value."""
    path = expand_home(value) if isinstance(value, str) else ""
    if not path or not os.path.isfile(path):
        return value
    _logger.info("metainfo is read from the lines of %s", path)
    return list_from_file(path)
