"""Where the bases of a config are: beside it, in a storage, or in an installed package."""

from __future__ import annotations

import ast
import importlib.util
import os
import posixpath
from collections.abc import Iterable

from engine_config._errors import ConfigFileNotFoundError
from engine_config._read import is_remote


def base_path(name: str, file: str, line: int) -> tuple[str, str]:
    """Return the path of a base, and the package it belongs to if it was named as `package::path`.

    Args:
        name: what `_base_` says.
        file: the file that says it, which relative names are relative to.
        line: the line, for errors.
    """
    package, double_colon, inner = name.partition("::")
    if double_colon:
        return package_config(package, inner, file, line), package
    if is_remote(name) or os.path.isabs(name):
        return name, ""
    if is_remote(file):
        scheme, _, rest = file.partition("://")
        return f"{scheme}://{posixpath.normpath(posixpath.join(posixpath.dirname(rest), name))}", ""
    folder = "" if file == "<string>" else os.path.dirname(file)
    return os.path.normpath(os.path.join(folder, name)), ""


def package_config(package: str, inner: str, file: str = "", line: int = 0) -> str:
    """Return the path of a config that an installed package ships.

    Raises:
        ConfigFileNotFoundError: the package is not installed, or has no such config.
    """
    roots = _config_roots(package, file, line)
    for root in roots:
        path = os.path.join(root, inner)
        if os.path.isfile(path):
            return path
    message = f"the package {package} has no config {inner!r}; looked in {', '.join(roots)}"
    raise ConfigFileNotFoundError(message, file=file or None, line=line)


def imported_path(node: ast.ImportFrom, file: str) -> str:
    """Return the path of the config that an import inside `with read_base():` names.

    Raises:
        ConfigFileNotFoundError: it names a package that has no such config.
    """
    names = (node.module or "").split(".") if node.module else []
    if node.level:
        folder = os.path.dirname(file)
        up = [os.pardir] * (node.level - 1)
        return f"{os.path.normpath(os.path.join(folder, *up, *names))}.py"
    roots = _config_roots(names[0], file, node.lineno)
    for root in roots:
        path = f"{os.path.join(root, *names[1:])}.py"
        if os.path.isfile(path):
            return path
    message = f"there is no config {node.module!r}; looked in {', '.join(roots)}"
    raise ConfigFileNotFoundError(message, file=file, line=node.lineno)


def _config_roots(package: str, file: str, line: int) -> list[str]:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):
        spec = None
    folders: Iterable[str] = (spec.submodule_search_locations or ()) if spec else ()
    inner = [os.path.join(".mim", "configs"), ".mim", "configs", ""]
    roots = [os.path.join(folder, part).rstrip(os.sep) for folder in folders for part in inner]
    if not roots:
        message = f"the package {package!r} of a base config is not installed"
        raise ConfigFileNotFoundError(message, file=file or None, line=line)
    return roots
