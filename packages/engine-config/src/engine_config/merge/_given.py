"""Take the values of a config from a program, and the facts beside them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from engine_config._dict import ConfigDict
from engine_config._errors import ConfigKeyError
from engine_config._facts import Facts
from engine_config._keys import reserved
from engine_config._marks import Source, caller_mark
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


def given_facts(
    filename: str | os.PathLike[str] | None, text: str | None, env_variables: Mapping[str, str]
) -> Facts:
    """Return the facts of a config that a program makes.

    Args:
        filename: The path of the file that the program names.
        text: Its text; None to read the file, if it exists on the disk.
        env_variables: The environment variables that the text uses, and their values.
    """
    path = None if filename is None else os.fspath(filename)
    if text is None and path and os.path.isfile(path):
        from engine_config.read._files import read_text  # slow to import, and rarely needed

        text = read_text(path, timeout=60)
    sources = () if text is None else (Source(path or "", text),)
    return Facts(filename=path, sources=sources, env_variables=dict(env_variables))
