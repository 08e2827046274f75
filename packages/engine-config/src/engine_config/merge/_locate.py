"""Find the bases of a config: relative to it, in a remote storage, or in an installed package."""

from __future__ import annotations

import ast
import importlib.util
import os
import posixpath
from collections.abc import Iterable

from engine_config._errors import ConfigFileNotFoundError
from engine_config.read._files import is_remote


def base_path(name: str, file: str, line: int) -> tuple[str, str]:
    """Return the path of a base, and its package if it is written as ``package::path``.

    Args:
        name: A name in ``_base_``.
        file: The file with that ``_base_``; a relative name is relative to its folder.
        line: The line, for errors.

    Raises:
        ConfigFileNotFoundError: The package is not installed, or has no such config.
    """
    package, double_colon, inner = name.partition("::")
    if double_colon:
        return package_config(package, inner, file, line), package
    if is_remote(name) or os.path.isabs(name):
        return name, ""
    if is_remote(file):
        # Without the scheme: normpath would turn s3:// into s3:/.
        scheme, _, rest = file.partition("://")
        return f"{scheme}://{posixpath.normpath(posixpath.join(posixpath.dirname(rest), name))}", ""
    folder = "" if file == "<string>" else os.path.dirname(file)
    return os.path.normpath(os.path.join(folder, name)), ""


def given_path(name: str) -> str:
    """Return the path of a config that a program names as a path or as ``package::path``.

    Raises:
        ConfigFileNotFoundError: The package is not installed, or has no such config.
    """
    package, double_colon, inner = name.partition("::")
    return package_config(package, inner) if double_colon else name


def package_config(package: str, inner: str, file: str = "", line: int = 0) -> str:
    """Return the path of a config that an installed package ships.

    Raises:
        ConfigFileNotFoundError: The package is not installed, or has no such config.
    """
    roots = _config_roots(package, file, line)
    for root in roots:
        path = os.path.join(root, inner)
        if os.path.isfile(path):
            return path
    message = f"the package {package} has no config {inner!r}; looked in {', '.join(roots)}"
    raise ConfigFileNotFoundError(message, file=file or None, line=line)


def imported_path(node: ast.ImportFrom, file: str) -> str:
    """Return the path of the config that an import inside ``with read_base():`` names.

    Raises:
        ConfigFileNotFoundError: The package is not installed, or has no such config.
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
        # find_spec does not import the package, whose dependencies may be missing.
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):
        spec = None
    folders: Iterable[str] = (spec.submodule_search_locations or ()) if spec else ()
    # Packages built as the manual describes ship their configs in .mim. Others ship them in a
    # folder or among their modules.
    inner = [os.path.join(".mim", "configs"), ".mim", "configs", ""]
    roots = [os.path.join(folder, part).rstrip(os.sep) for folder in folders for part in inner]
    if not roots:
        message = f"the package {package!r} of a base config is not installed"
        raise ConfigFileNotFoundError(message, file=file or None, line=line)
    return roots
