"""Find installed packages, and check the packages and programs that a function needs."""

import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def call_command(cmd: Sequence[str]) -> None:
    """Run a command and wait for it.

    Args:
        cmd: The program and its arguments, passed without a shell.

    Raises:
        subprocess.CalledProcessError: The command failed.
    """
    import subprocess  # slow to import, and rarely needed

    subprocess.run(list(cmd), check=True)


def install_package(package: str) -> None:
    """Install a package with pip into the running environment, if it is not installed."""
    if not is_installed(package):
        call_command([sys.executable, "-m", "pip", "install", package])


def is_installed(package: str) -> bool:
    """Return whether a package is installed, by its import name or its name on PyPI.

    Example:
        >>> is_installed("engine-utils"), is_installed("no-such-package")
        (True, False)
    """
    spec = _spec(package)
    # Any folder in the working directory is a namespace package, which has no origin.
    return (spec is not None and spec.origin is not None) or bool(import_names(package))


def get_installed_path(package: str) -> str:
    """Return the folder of an installed package.

    Args:
        package: Its import name or its name on PyPI.

    Returns:
        The folder; for a module that is one file, the folder of the file.

    Raises:
        importlib.metadata.PackageNotFoundError: It is not installed.

    Example:
        >>> get_installed_path("engine-utils").endswith("engine_utils")
        True
    """
    for name in (package, *import_names(package)):
        spec = _spec(name)
        if spec is not None and spec.submodule_search_locations:
            return os.path.normpath(next(iter(spec.submodule_search_locations)))
        if spec is not None and spec.has_location and spec.origin:
            return os.path.dirname(spec.origin)
    from importlib.metadata import PackageNotFoundError  # slow to import, and rarely needed

    raise PackageNotFoundError(package)


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # the parent is missing, or the module has no spec
        return None


def import_names(distribution: str) -> list[str]:
    """Return the names under which an installed distribution is imported; none if there is none."""
    from importlib import metadata  # slow to import, and rarely needed

    try:
        metadata.distribution(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return []
    wanted = _normal(distribution)
    provided = metadata.packages_distributions()
    found = [name for name, owners in provided.items() if wanted in map(_normal, owners)]
    # The metadata of an editable install does not list the import names.
    return found or [distribution.replace("-", "_")]


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def check_prerequisites(
    prerequisites: str | Sequence[str],
    checker: Callable[[str], bool],
    msg_tmpl: str = 'Prerequisites "{}" are required in method "{}" but not found, '
    "please install them first.",
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Return a decorator that checks the prerequisites of a function at each call.

    Args:
        prerequisites: One name or several.
        checker: Returns whether the prerequisite of that name is available.
        msg_tmpl: The message, with a ``{}`` for the names and a ``{}`` for the function.

    Returns:
        A decorator. The decorated function raises ``RuntimeError`` if something is missing.
    """
    names = [prerequisites] if isinstance(prerequisites, str) else list(prerequisites)

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            missing = [name for name in names if not checker(name)]
            if missing:
                raise RuntimeError(msg_tmpl.format(", ".join(missing), function.__name__))
            return function(*args, **kwargs)

        return checked

    return decorate


def requires_package(prerequisites: str | Sequence[str]) -> Callable[[Any], Any]:
    """Return a decorator that checks at each call that packages are installed.

    Example:
        >>> @requires_package("no_such_package")
        ... def draw() -> None: ...
        >>> draw()
        Traceback (most recent call last):
        RuntimeError: Prerequisites "no_such_package" are required in method "draw" ...
    """
    return check_prerequisites(prerequisites, is_installed)


def requires_executable(prerequisites: str | Sequence[str]) -> Callable[[Any], Any]:
    """Return a decorator that checks at each call that programs are on the ``PATH``.

    Example:
        >>> @requires_executable("no-such-program")
        ... def convert() -> None: ...
        >>> convert()
        Traceback (most recent call last):
        RuntimeError: Prerequisites "no-such-program" are required in method "convert" ...
    """
    return check_prerequisites(prerequisites, _is_program)


def _is_program(name: str) -> bool:
    import shutil  # slow to import, and rarely needed

    return shutil.which(name) is not None
