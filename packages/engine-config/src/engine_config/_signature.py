"""Holds the arguments in a config against the signature of what they will be passed to."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine_config._closest import closest
from engine_config._lazy import LazyObject
from engine_config._marks import shown

Kind = Literal["unknown argument", "missing argument", "wrong type"]

_SEQUENCES: Final = (
    list,
    tuple,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Iterable,
    collections.abc.Collection,
)
_MAPPINGS: Final = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One argument that does not fit. `key` is None for an argument that is missing."""

    key: str | None
    kind: Kind
    message: str


def mistakes(target: Callable[..., Any], arguments: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what is wrong with calling `target(**arguments)`, without calling it.

    What cannot be known is taken to be right: a target without a signature, `**kwargs`, annotations
    that cannot be evaluated or that say more than whether a value is a number, a string, a sequence
    or a dict.
    """
    try:
        parameters = inspect.signature(target).parameters
    except (ValueError, TypeError):
        return
    named = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    name = _name(target)
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        yield from _unknown(arguments, named, name)
    for key, parameter in named.items():
        if parameter.default is parameter.empty and key not in arguments:
            message = f"{name} needs the argument {key!r}"
            yield Mistake(key=None, kind="missing argument", message=message)
    yield from _wrong(target, arguments, named, name)


def _unknown(
    arguments: Mapping[str, Any], named: Mapping[str, inspect.Parameter], name: str
) -> Iterator[Mistake]:
    for key in arguments:
        if key in named:
            continue
        close = closest(key, named)
        hint = f"did you mean {close!r}?" if close else f"it takes: {', '.join(named) or 'none'}"
        message = f"{name} has no argument {key!r}; {hint}"
        yield Mistake(key=key, kind="unknown argument", message=message)


def _wrong(
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    named: Mapping[str, inspect.Parameter],
    name: str,
) -> Iterator[Mistake]:
    hints = _hints(target)
    for key, value in arguments.items():
        if key not in named or key not in hints:
            continue
        if value is None and named[key].default is None:
            continue  # `size: int = None` is how older code writes an optional argument
        if not fits(value, hints[key]):
            wanted = inspect.formatannotation(hints[key])
            message = f"{name} takes {key} as {wanted}, not {shown(value)}"
            yield Mistake(key=key, kind="wrong type", message=message)


def _name(target: Callable[..., Any]) -> str:
    inner = target.func if isinstance(target, functools.partial) else target
    return str(getattr(inner, "__qualname__", inner))


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    inner = target.func if isinstance(target, functools.partial) else target
    function = getattr(inner, "__init__") if isinstance(inner, type) else inner  # noqa: B009  # mypy
    try:
        return typing.get_type_hints(function)
    except Exception:  # evaluating annotations runs code of others, which may raise anything
        return dict(_single_hints(function))


def _single_hints(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield the annotations that can be evaluated: others name what is imported for types only."""
    for key, annotation in getattr(function, "__annotations__", {}).items():
        if isinstance(annotation, str):
            try:
                annotation = eval(annotation, getattr(function, "__globals__", {}))
            except Exception:  # as above
                continue
        yield key, annotation


def fits(value: Any, annotation: Any) -> bool:
    """Say whether a value can be what an annotation asks for; True when that is unsure."""
    if annotation is Any or isinstance(value, LazyObject):
        return True
    if annotation is None or annotation is type(None):
        return value is None
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, choice) for choice in typing.get_args(annotation))
    if origin is Literal:
        return value in typing.get_args(annotation)
    if origin is typing.Annotated:
        return fits(value, typing.get_args(annotation)[0])
    return _fits_class(value, origin or annotation, typing.get_args(annotation))


def _fits_class(value: Any, kind: Any, arguments: tuple[Any, ...]) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind in (str, int, bool, bytes, complex):
        return isinstance(value, kind)
    if kind in _SEQUENCES:
        return _fits_sequence(value, kind, arguments)
    if kind in _MAPPINGS:
        return isinstance(value, dict)
    return True


def _fits_sequence(value: Any, kind: Any, arguments: tuple[Any, ...]) -> bool:
    # Config files write lists for tuples and dicts for objects that are iterable once they are
    # built.
    if isinstance(value, bool | int | float) or value is None:
        return False
    item = arguments[0] if arguments and (len(arguments) == 1 or arguments[1:] == (...,)) else Any
    if isinstance(value, str):
        return kind not in (list, tuple) and fits("", item)
    if not isinstance(value, list | tuple):
        return isinstance(value, dict) or kind not in (list, tuple)
    return all(fits(element, item) for element in value)
