"""Call a class or function with the arguments of a config."""

import logging
from collections.abc import Callable
from typing import Any

from engine_registry._errors import ConstructionError
from engine_registry._explain import describe_call, explain
from engine_utils import ManagerMeta, ManagerMixin

_logger = logging.getLogger("engine.registry")


def construct(factory: Callable[..., Any], arguments: dict[str, Any], kind: Any) -> Any:
    """Call ``factory`` with the arguments.

    Args:
        factory: A class or function. A subclass of `ManagerMixin` is built with ``get_instance``.
        arguments: The arguments by name.
        kind: The value of ``type`` in the config, for messages.

    Raises:
        ConstructionError: ``factory`` raised. The error is also an instance of the original error's
            class.
    """
    try:
        if isinstance(factory, ManagerMeta) and issubclass(factory, ManagerMixin):
            arguments = _with_name(factory, arguments)
            built: Any = factory.get_instance(**arguments)
        else:
            built = factory(**arguments)
    except ConstructionError as error:
        # A nested object could not be built. Add this level to its error, so that the message shows
        # the path.
        error.inside.append(describe_call(factory, arguments, kind))
        raise
    except Exception as error:
        message = explain(factory, arguments, kind, error)
        failure = ConstructionError.from_error(error, message)
        failure.config = {"type": kind, **arguments}
        raise failure from error
    if _logger.isEnabledFor(logging.DEBUG):
        _logger.debug(
            "An `%s` instance is built from registry, its implementation can be found in %s",
            getattr(factory, "__name__", kind),
            getattr(factory, "__module__", "unknown"),
        )
    return built


def _with_name(factory: type[ManagerMixin], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with a ``name``: the default of the class, or its own name."""
    if "name" in arguments:
        return arguments
    from inspect import signature  # slow to import, and rarely needed

    default = signature(factory).parameters["name"].default
    name = default if isinstance(default, str) and default else factory.__name__
    return {"name": name, **arguments}
