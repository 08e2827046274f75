"""Which handler reads and writes a format."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from engine_fileio.handlers._base import BaseFileHandler
from engine_fileio.handlers._json import JsonHandler
from engine_fileio.handlers._pickle import PickleHandler
from engine_fileio.handlers._yaml import YamlHandler

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
        file_formats: Suffixes without the dot; a handler registered earlier is replaced.
        **kwargs: Arguments to make the handler with.

    Returns:
        The decorator; it returns the class, so that decorators can be stacked.

    Raises:
        TypeError: The class is no subclass of `BaseFileHandler`, or a format no string.
    """
    formats = [file_formats] if isinstance(file_formats, str) else list(file_formats)
    if not all(isinstance(name, str) for name in formats):
        raise TypeError(f"file_formats is a string or a list of strings, not {file_formats!r}")

    def register(handler: HandlerT) -> HandlerT:
        if not (isinstance(handler, type) and issubclass(handler, BaseFileHandler)):
            raise TypeError(f"{handler!r} is not a subclass of BaseFileHandler")
        made = handler(**kwargs)
        _handlers.update({name.lstrip(".").lower(): made for name in formats})
        return handler

    return register


def handler_of(file_format: str) -> BaseFileHandler:
    """Return the handler of a format; TypeError lists the formats there are."""
    handler = _handlers.get(file_format)
    if handler is not None:
        return handler
    close = get_close_matches(file_format, _handlers, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ";"
    raise TypeError(
        f"no handler is registered for the format {file_format!r}{hint} known: "
        f"{sorted(_handlers)}. Pass file_format, or register a handler with register_handler"
    )
