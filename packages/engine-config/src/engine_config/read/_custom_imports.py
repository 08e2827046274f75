"""Import the modules in ``custom_imports``, which register the types that the config names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any, Final

from engine_config._dict import ConfigDict, marks_of, unnested
from engine_config._errors import ConfigImportError, ConfigTypeError, shown
from engine_config._marks import Mark, error_at

_KEY: Final = "custom_imports"


def import_listed_modules(values: ConfigDict, files: Sequence[str]) -> None:
    """Import the modules that a config lists as ``dict(imports=[…], allow_failed_imports=False)``.

    A module is searched where Python finds it, then beside the config, then beside the base that
    lists it. The folder where it is found is appended to ``sys.path``.

    Args:
        values: The merged config.
        files: The paths of the config and its bases, the config last.

    Raises:
        ConfigImportError: One of them cannot be imported, and failures are not allowed.
        ConfigTypeError: ``custom_imports`` has another form.
    """
    custom = dict.get(values, _KEY)
    if not custom:
        return
    mark = marks_of(values)[_KEY]
    options = unnested(custom)
    if not _is_well_formed(options):
        form = "dict(imports=['module', ...], allow_failed_imports=False)"
        message = f"it must have the form {form}, got {shown(options)}"
        raise error_at(ConfigTypeError, message, mark, _KEY)
    # Imported here, for configs with this key only: importing this package would take longer.
    from engine_config.read._files import is_remote
    from engine_config.read._modules import import_named

    local = [file for file in files if not is_remote(file)]
    names = [options["imports"]] if isinstance(options["imports"], str) else options["imports"]
    for name, place in zip(names, _places(custom, mark, len(names)), strict=True):
        # An option of the command line is not a file.
        askers = [place.source.file] if place.source.file in local else []
        folders = dict.fromkeys(map(_folder, [*local[-1:], *askers]))
        try:
            import_named(name, list(folders), local)
        except ConfigImportError as error:
            # The code of a module that exists may be wrong: that is never allowed.
            missing = error.__cause__ is None or isinstance(error.__cause__, ImportError)
            if not (options.get("allow_failed_imports") and missing):
                raise error_at(ConfigImportError, error.message, place, _KEY) from error.__cause__
            warnings.warn(f"{error.message}; custom_imports skips it", stacklevel=3)


def _folder(file: str) -> str:
    return os.path.dirname(os.path.abspath(file))


def _is_well_formed(options: Any) -> bool:
    if not isinstance(options, dict) or not {"imports", "allow_failed_imports"}.issuperset(options):
        return False
    modules = options.get("imports")
    names = [modules] if isinstance(modules, str) else modules
    return isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)


def _places(custom: ConfigDict, mark: Mark, size: int) -> Sequence[Mark]:
    """Return the marks of the listed names, each with the file that lists it."""
    inner = marks_of(custom).get("imports", mark)
    items = inner.items or ()
    return items if len(items) == size else [inner] * size
