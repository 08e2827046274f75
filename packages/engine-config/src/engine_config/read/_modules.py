"""Import a module by name: from where Python finds it, else from a folder beside a config."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from typing import Final, TypeVar

from engine_config._errors import ConfigImportError

_Result = TypeVar("_Result")
_beside: Final[dict[str, str]] = {}  # the files of the modules found beside a config, by name
_appended: Final[set[str]] = set()  # the folders that were appended to sys.path for them


def import_named(name: str, folders: Sequence[str], configs: Sequence[str]) -> None:
    """Import a module.

    A config is not a module, and neither is a folder without ``__init__.py``: importing them would
    register nothing.

    Args:
        name: The dotted name.
        folders: The folders to search if Python does not find it.
        configs: The config files, which are skipped.

    Raises:
        ConfigImportError: It does not exist, or its code raises an error, which is the cause.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigImportError(f"{name!r} is not the name of a module, such as 'package.module'")
    spec = _python_finds(name)
    # What an earlier config has appended to the path comes after what lies beside this one.
    is_own = spec is not None and _is_module(spec, configs) and name not in _beside
    if is_own and spec is not None and not _is_appended(spec):
        _guarded(name, lambda: importlib.import_module(name))
        return
    for folder in folders:
        for file in _candidates(name, folder):
            if os.path.isfile(file) and not _is_config(file, configs):
                _import_beside(name, file, folder)
                return
    if spec is None or not _is_module(spec, configs):
        raise ConfigImportError(_not_found(name, folders, configs))
    _guarded(name, lambda: importlib.import_module(name))


def _python_finds(name: str) -> ModuleSpec | None:
    def find() -> ModuleSpec | None:
        try:
            return importlib.util.find_spec(name)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{name}.".startswith(f"{error.name}."):
                return None  # a package above it does not exist
            raise
        except ValueError:  # a program has put a module without a spec into sys.modules
            return ModuleSpec(
                name, None, origin=getattr(sys.modules[name], "__file__", "<program>")
            )

    return _guarded(name, find)


def _guarded(name: str, function: Callable[[], _Result]) -> _Result:
    """Call a function that runs the code of a module, which may raise anything."""
    try:
        return function()
    except Exception as error:
        reason = (
            str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        )
        message = f"failed to import {name}: {reason}{_where(error)}"
        raise ConfigImportError(message) from error


def _where(error: Exception) -> str:
    """Return the line of a module's code that raised an error."""
    if isinstance(error, SyntaxError):
        return ""  # its text has the line
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen ") and file != __file__ and "importlib" not in file:
            place = f" ({file}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _is_module(spec: ModuleSpec, configs: Sequence[str]) -> bool:
    # A folder without __init__.py is a namespace package, which has no origin.
    return spec.origin is not None and not _is_config(spec.origin, configs)


def _is_config(file: str, configs: Sequence[str]) -> bool:
    return os.path.realpath(file) in map(os.path.realpath, configs)


def _is_appended(spec: ModuleSpec) -> bool:
    origin = spec.origin or ""
    return any(origin.startswith(os.path.join(folder, "")) for folder in _appended)


def _candidates(name: str, folder: str) -> Iterator[str]:
    path = os.path.join(folder, *name.split("."))
    yield os.path.join(path, "__init__.py")
    yield f"{path}.py"


def _import_beside(name: str, file: str, folder: str) -> None:
    known = _beside.get(name)
    if known is not None and name in sys.modules:
        if not _same_text(known, file):
            raise ConfigImportError(
                f"{name} is already imported from {known}, so {file} cannot have this name too; "
                "rename one of them, or read the configs in two processes"
            )
        return
    if folder not in sys.path:
        sys.path.append(folder)
        _appended.add(folder)
    if getattr(sys.modules.get(name), "__file__", "") is None:
        del sys.modules[name]  # a folder without code that Python found first
    importlib.invalidate_caches()
    spec = _python_finds(name)
    if spec is not None and spec.origin is not None and os.path.samefile(spec.origin, file):
        _guarded(name, lambda: importlib.import_module(name))
    elif "." not in name:
        _guarded(name, lambda: _load(name, file))
    else:
        first = name.partition(".")[0]
        other = getattr(sys.modules.get(first), "__file__", None) or "another folder"
        raise ConfigImportError(
            f"{file} cannot be imported as {name}: Python finds {first} in {other}; rename it"
        )
    _beside[name] = file


def _load(name: str, file: str) -> None:
    """Import a file whose name means another file to Python, such as the config itself."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigImportError(f"{file} cannot be imported as {name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _same_text(first: str, second: str) -> bool:
    try:
        with open(first, "rb") as one, open(second, "rb") as other:
            return os.path.samefile(first, second) or one.read() == other.read()
    except OSError:
        return False


def _not_found(name: str, folders: Sequence[str], configs: Sequence[str]) -> str:
    # Imported here, for errors only: importing this package would take 50 % longer.
    from engine_utils import did_you_mean

    searched = ", ".join(folders) or "no folder: the config is not a file on the disk"
    message = (
        f"failed to import {name}: there is no such module; searched Python's path, {searched}"
    )
    paths = [os.path.join(folder, *name.split(".")) for folder in (*folders, os.getcwd())]
    for path in paths:
        if _is_config(f"{path}.py", configs):
            return f"{message}. {path}.py is a config, not a module; rename one of them"
        if os.path.isdir(path):
            return (
                f"{message}. The folder {path} has no __init__.py; add one that imports its "
                "modules, or list the modules"
            )
    modules = [
        entry.removesuffix(".py")
        for folder in folders
        for entry in os.listdir(folder)
        if not _is_config(os.path.join(folder, entry), configs)
    ]
    return f"{message}{did_you_mean(name, modules)}"
