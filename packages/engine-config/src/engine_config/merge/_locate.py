"""Find the bases of a config: relative to it, in a remote storage, or in an installed package."""

from __future__ import annotations

import ast
import importlib.util
import os
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from engine_config._errors import ConfigFileNotFoundError, ConfigReadError
from engine_config._keys import BASE_KEY
from engine_config.read._files import Options, is_remote
from engine_utils import distribution_of, expand_home

# A package, not the address of a server such as http://[::1]/a.py.
_IN_PACKAGE: Final = re.compile(r"([^/\\:]+)::(.*)", re.DOTALL)


def base_path(name: str, file: str, line: int, options: Options) -> tuple[str, str]:
    """Return the path of a base, and its package if it is written as ``package::path``.

    Args:
        name: A name in ``_base_``.
        file: The file with that ``_base_``; a relative name is relative to its folder.
        line: The line, for errors.
        options: Whether the name may be an address.

    Raises:
        ConfigFileNotFoundError: The package is not installed, or has no such config.
        ConfigReadError: The name is an address, and bases at addresses are not allowed.
    """
    if match := _IN_PACKAGE.match(name):
        return package_config(match[1], match[2], file, line), match[1]
    if is_remote(name) and not options.remote_bases:
        message = f"the base {name} is an address, which is not read; pass read_remote_bases=True"
        raise ConfigReadError(message, file=file, line=line, key_path=BASE_KEY)
    name = expand_home(name)
    if is_remote(name) or os.path.isabs(name):
        return name, ""
    return _beside(name, file), ""


def _beside(name: str, file: str) -> str:
    """Return the path of a name that is relative to the folder of a file."""
    if is_remote(file):
        # Without the scheme: normpath would turn s3:// into s3:/.
        scheme, _, rest = file.partition("://")
        return f"{scheme}://{posixpath.normpath(posixpath.join(posixpath.dirname(rest), name))}"
    folder = "" if file == "<string>" else os.path.dirname(file)
    return os.path.normpath(os.path.join(folder, name))


def given_path(name: str) -> str:
    """Return the path of a config that a program names as a path or as ``package::path``.

    Raises:
        ConfigFileNotFoundError: The package is not installed, or has no such config.
    """
    if match := _IN_PACKAGE.match(name):
        return package_config(match[1], match[2])
    return expand_home(name)


def package_config(package: str, inner: str, file: str = "", line: int = 0) -> str:
    """Return the path of a config that an installed package ships.

    Raises:
        ConfigFileNotFoundError: The package is not installed, or has no such config.
        ConfigReadError: The path leads out of the folder of the package.
    """
    tried: list[str] = []
    for folder in _package_folders(package, file, line):
        for root in _roots(folder):
            # By the text of the path: a link inside the package may lead to a folder outside, as
            # packages that are installed in place have it.
            path = os.path.normpath(os.path.join(root, inner))
            if os.path.isabs(inner) or not path.startswith(os.path.join(folder, "")):
                message = f"{package}::{inner} leaves the folder of the package; use a path in it"
                raise ConfigReadError(message, file=file or None, line=line)
            if os.path.isfile(path):
                return path
            tried.append(root)
    message = f"the package {package} has no config {inner!r}; looked in {', '.join(tried)}"
    raise ConfigFileNotFoundError(message, file=file or None, line=line)


@dataclass(frozen=True, kw_only=True)
class BaseImport:
    """One config that an import inside ``with read_base():`` names.

    Attributes:
        path: The config file.
        names: The names that are imported from it.
        whole: The name for the whole config, if it is imported as a module; ``names`` is empty.
    """

    path: str
    names: tuple[ast.alias, ...] = ()
    whole: str = ""


def imported_configs(node: ast.ImportFrom, file: str) -> list[BaseImport]:
    """Return the configs that an import inside ``with read_base():`` names.

    ``from .parts import data`` names the config ``parts.py``. If there is a folder ``parts``
    instead, it names the config ``parts/data.py`` as a whole, or ``data`` in
    ``parts/__init__.py``.

    Raises:
        ConfigFileNotFoundError: The package is not installed, or has no such config.
    """
    paths = _imported_paths(node, file)
    for path in paths:
        if is_remote(path) or os.path.isfile(f"{path}.py"):
            return [BaseImport(path=f"{path}.py", names=tuple(node.names))]
        if os.path.isdir(path):
            return _in_folder(path, node, file)
    if node.level:
        return [BaseImport(path=f"{paths[0]}.py", names=tuple(node.names))]  # reading it raises
    roots = ", ".join(_roots_of(node, file))
    message = f"there is no config {node.module!r}; looked in {roots}"
    raise ConfigFileNotFoundError(message, file=file, line=node.lineno)


def _in_folder(folder: str, node: ast.ImportFrom, file: str) -> list[BaseImport]:
    package = os.path.join(folder, "__init__.py")
    modules = [
        alias for alias in node.names if os.path.isfile(os.path.join(folder, f"{alias.name}.py"))
    ]
    others = tuple(alias for alias in node.names if alias not in modules)
    found = [
        BaseImport(path=os.path.join(folder, f"{alias.name}.py"), whole=alias.asname or alias.name)
        for alias in modules
    ]
    if not others:
        return found
    if os.path.isfile(package) and os.path.getsize(package):
        return [BaseImport(path=package, names=others), *found]
    shown = f"{'.' * node.level}{node.module or ''}"
    shown = shown if shown.endswith(".") else f"{shown}."
    configs = sorted(name[:-3] for name in os.listdir(folder) if name.endswith(".py"))
    name = others[0].name
    message = (
        f"{folder} is a folder of configs, which has no {name!r}; write `from {shown}x import *`, "
        f"where x is one of: {', '.join(configs) or 'none'}"
    )
    raise ConfigFileNotFoundError(message, file=file, line=node.lineno)


def _imported_paths(node: ast.ImportFrom, file: str) -> list[str]:
    """Return the paths that an import may name, without the extension."""
    names = (node.module or "").split(".") if node.module else []
    if node.level:
        up = [os.pardir] * (node.level - 1)
        return [_beside("/".join([*up, *names]), file)]
    return [os.path.join(root, *names[1:]) for root in _roots_of(node, file)]


def _roots_of(node: ast.ImportFrom, file: str) -> list[str]:
    package = (node.module or "").partition(".")[0]
    folders = _package_folders(package, file, node.lineno)
    # The module that Python would import comes first. A package may ship another config, of the
    # other kind, at the same path below .mim.
    return [*folders, *(root for folder in folders for root in _roots(folder) if root != folder)]


def _package_folders(package: str, file: str, line: int) -> list[str]:
    first, *rest = package.split(".")
    try:
        # find_spec does not import the package, whose dependencies may be missing. It would import
        # the parents of a dotted name, so only the first part is passed.
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError, AttributeError):
        spec = None
    folders: Iterable[str] = (spec.submodule_search_locations or ()) if spec else ()
    found = [path for folder in folders if os.path.isdir(path := os.path.join(folder, *rest))]
    if not found:
        brings = distribution_of(package)
        hint = f"; pip install {brings}" if brings else ""
        message = f"the package {package!r} of a base config is not installed{hint}"
        raise ConfigFileNotFoundError(message, file=file or None, line=line)
    return found


def _roots(folder: str) -> list[str]:
    # Packages built as the manual describes ship their configs in .mim. Others ship them in a
    # folder or among their modules.
    inner = [os.path.join(".mim", "configs"), ".mim", "configs", ""]
    return [os.path.join(folder, part).rstrip(os.sep) for part in inner]
