"""The table of file handlers, by format."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from engine_fileio.handlers._base import BaseFileHandler
from engine_fileio.handlers._json import JsonHandler
from engine_fileio.handlers._pickle import PickleHandler
from engine_fileio.handlers._yaml import YamlHandler
from engine_utils import did_you_mean

HandlerT = TypeVar("HandlerT", bound=type[BaseFileHandler])

_yaml, _pickle = YamlHandler(), PickleHandler()
_handlers: dict[str, BaseFileHandler] = {
    "json": JsonHandler(),
    "yaml": _yaml,
    "yml": _yaml,
    "pickle": _pickle,
    "pkl": _pickle,
}


def register_handler(
    file_formats: str | Sequence[str], **kwargs: Any
) -> Callable[[HandlerT], HandlerT]:
    """Register the decorated handler class for one or several formats.

    Args:
        file_formats: Suffixes without the dot. An earlier handler of a format is replaced.
        **kwargs: Arguments of the handler.

    Returns:
        The decorator. It returns the class, so that decorators can be stacked.

    Raises:
        TypeError: The class is not a subclass of `BaseFileHandler`, or a format is not a string.
    """
    formats = [file_formats] if isinstance(file_formats, str) else list(file_formats)
    if not all(isinstance(name, str) for name in formats):
        raise TypeError(f"file_formats must be a string or a list of strings, got {file_formats!r}")

    def register(handler: HandlerT) -> HandlerT:
        if not (isinstance(handler, type) and issubclass(handler, BaseFileHandler)):
            raise TypeError(f"a handler must be a subclass of BaseFileHandler, got {handler!r}")
        made = handler(**kwargs)
        _handlers.update({name.lstrip(".").lower(): made for name in formats})
        return handler

    return register


def handler_of(file_format: str) -> BaseFileHandler:
    """Return the handler of a format.

    Raises:
        TypeError: No handler is registered for the format; the message lists the formats.
    """
    handler = _handlers.get(file_format)
    if handler is not None:
        return handler
    hint = did_you_mean(file_format, _handlers) or ";"
    raise TypeError(
        f"no handler is registered for the format {file_format!r}{hint} registered: "
        f"{sorted(_handlers)}. Pass file_format, or register a handler with register_handler"
    )
