"""Call a class or function with the arguments of a config."""

import logging
from collections.abc import Callable
from typing import Any

from engine_registry._errors import ConstructionError
from engine_utils import ManagerMeta, ManagerMixin

_logger = logging.getLogger("engine.registry")


def construct(factory: Callable[..., Any], arguments: dict[str, Any], kind: Any) -> Any:
    """Call ``factory`` with the arguments.

    Args:
        factory: A class or function. A class of named instances is asked for its instance.
        arguments: What to call it with, by name.
        kind: The value of ``type`` in the config, for messages.

    Raises:
        ConstructionError: it failed; the error is also of the original's class.
    """
    try:
        if isinstance(factory, ManagerMeta) and issubclass(factory, ManagerMixin):
            built: Any = _named_instance(factory, arguments)
        else:
            built = factory(**arguments)
    except ConstructionError as error:
        from engine_registry._explain import where  # slow to import, and rarely needed

        error.inside.append(where(factory, arguments, kind))
        raise
    except Exception as error:
        from engine_registry._explain import explain

        message = explain(factory, arguments, kind, error)
        raise ConstructionError.like(error, message) from error
    if _logger.isEnabledFor(logging.DEBUG):
        _logger.debug(
            "An `%s` instance is built from registry, its implementation can be found in %s",
            getattr(factory, "__name__", kind),
            getattr(factory, "__module__", "unknown"),
        )
    return built


def _named_instance(factory: type[ManagerMixin], arguments: dict[str, Any]) -> ManagerMixin:
    if "name" in arguments:
        return factory.get_instance(**arguments)
    from inspect import signature  # slow to import, and rarely needed

    default = signature(factory).parameters["name"].default
    name = default if isinstance(default, str) and default else factory.__name__
    return factory.get_instance(name, **arguments)
