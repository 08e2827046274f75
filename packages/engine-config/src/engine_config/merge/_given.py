"""Take the values of a config from a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine_config._dict import ConfigDict
from engine_config._errors import ConfigKeyError
from engine_config._keys import reserved
from engine_config._marks import caller_mark
from engine_config.merge._merge import Merging, Note
from engine_config.origin import Attacher


def given_values(values: Mapping[str, Any]) -> tuple[ConfigDict, list[Note]]:
    """Return a copy of the values of a config, set at the caller's line, and the notes about them.

    Raises:
        ConfigKeyError: A top-level key is reserved.
        TypeError: ``values`` is not a mapping.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"cfg_dict must be a mapping, got {type(values).__name__}")
    for key in values:
        if reason := reserved(key):
            raise ConfigKeyError(reason, key_path=str(key))
    mark = caller_mark()
    root = values if isinstance(values, ConfigDict) else dict(values)
    own = Attacher(mark.source, line=mark.line).root(root, {})
    merging = Merging()
    merging.settle(own, mark, "")
    return own, merging.notes
