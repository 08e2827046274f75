"""Import the modules in ``custom_imports``, which register the types that the config names."""

from __future__ import annotations

from typing import Any

from engine_config._dict import ConfigDict, marks_of, unnested
from engine_config._errors import ConfigImportError, ConfigTypeError, shown
from engine_config._marks import error_at


def import_listed_modules(values: ConfigDict) -> None:
    """Import the modules that a config lists as ``dict(imports=[…], allow_failed_imports=False)``.

    Raises:
        ConfigImportError: One of them cannot be imported, and failures are not allowed.
        ConfigTypeError: ``custom_imports`` has another form.
    """
    custom = dict.get(values, "custom_imports")
    if not custom:
        return
    mark = marks_of(values)["custom_imports"]
    options = unnested(custom)
    if not _is_well_formed(options):
        form = "dict(imports=['module', ...], allow_failed_imports=False)"
        message = f"it must have the form {form}, got {shown(options)}"
        raise error_at(ConfigTypeError, message, mark, "custom_imports")
    # Imported here, for configs with this key only: importing this package would take 50 % longer.
    from engine_utils import import_modules_from_strings

    try:
        import_modules_from_strings(**options)
    except ImportError as error:
        raise error_at(ConfigImportError, str(error), mark, "custom_imports") from error


def _is_well_formed(options: Any) -> bool:
    if not isinstance(options, dict) or not {"imports", "allow_failed_imports"}.issuperset(options):
        return False
    modules = options.get("imports")
    names = [modules] if isinstance(modules, str) else modules
    return isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
