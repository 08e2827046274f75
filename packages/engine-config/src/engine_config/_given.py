"""The facts of a config that a program makes, in place of reading it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from engine_config._facts import Facts
from engine_config._marks import Source


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
