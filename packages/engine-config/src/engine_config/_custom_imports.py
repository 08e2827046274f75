"""The `custom_imports` of a config: modules whose import registers what the config names."""

from __future__ import annotations

from engine_config._dict import ConfigDict, marks_of, unnested


def import_listed_modules(values: ConfigDict) -> None:
    """Import the modules that a config lists as `dict(imports=[…], allow_failed_imports=False)`.

    Raises:
        ImportError: one of them cannot be imported, and that is not allowed; the line of the list
            is named.
    """
    custom = dict.get(values, "custom_imports")
    if not custom:
        return
    from engine_utils import import_modules_from_strings

    try:
        import_modules_from_strings(**unnested(custom))
    except ImportError as error:
        mark = marks_of(values)["custom_imports"]
        raise ImportError(f"{mark.origin()}: custom_imports: {error}") from error
