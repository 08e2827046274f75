"""The message of a look-up that found nothing."""

from ._errors import LocationImportError, NotRegisteredError
from ._registry import Registry
from ._search import Search


def miss(key: str, registry: Registry, search: Search) -> NotRegisteredError:
    """Make the error for a name that is not found."""
    lines = [f'{key} is not in the "{registry.name}" registry of scope "{registry.scope}"']
    failed = [f"{module} failed to import: {error!r}" for module, error in search.failed.items()]
    message = "; ".join(lines + failed)
    if not search.failed:
        return NotRegisteredError(message)
    error = LocationImportError(message)
    error.__cause__ = next(iter(search.failed.values()))
    return error
