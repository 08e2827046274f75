"""Check the arguments of a call against the signature of the callable, without calling it."""

from __future__ import annotations

import collections.abc
import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from engine_utils._suggest import closest_name

if TYPE_CHECKING:
    import inspect

MistakeKind = Literal["unknown argument", "missing argument", "wrong type"]

_SEQUENCES: Final = (
    list,
    tuple,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Iterable,
    collections.abc.Collection,
)
_MAPPINGS: Final = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


class CallMistake(NamedTuple):
    """One argument that does not fit.

    Attributes:
        key: The argument's name.
        kind: The kind of mistake.
        message: The rule, the value and the way out.

    Example:
        >>> CallMistake(key="lr", kind="wrong type", message="lr must be float").kind
        'wrong type'
    """

    key: str
    kind: MistakeKind
    message: str


def call_mistakes(
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    opaque: tuple[type, ...] = (),
) -> Iterator[CallMistake]:
    """Yield each argument that ``target(**arguments)`` would reject, without calling ``target``.

    Only certain mistakes are reported. A target without a signature, ``**kwargs``, and annotations
    that cannot be evaluated or that say more than number, string, sequence or mapping pass.

    Args:
        target: A class, a function, or a ``functools.partial`` with arguments bound.
        arguments: The arguments by name.
        opaque: Classes whose instances stand for other values, and so fit every annotation.

    Example:
        >>> def resize(width: int, height: int = 1): ...
        >>> [mistake.message for mistake in call_mistakes(resize, {"width": 2, "hight": 3})]
        ["resize has no argument 'hight'; did you mean 'height'?"]
    """
    import inspect  # takes as long to import as this package, and only checks need it

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
            yield CallMistake(key=key, kind="missing argument", message=message)
    yield from _wrong(target, arguments, named, opaque)


def _unknown(
    arguments: Mapping[str, Any], named: Mapping[str, inspect.Parameter], name: str
) -> Iterator[CallMistake]:
    for key in arguments:
        if key in named:
            continue
        close = closest_name(key, named)
        hint = f"did you mean {close!r}?" if close else f"it takes: {', '.join(named) or 'none'}"
        message = f"{name} has no argument {key!r}; {hint}"
        yield CallMistake(key=key, kind="unknown argument", message=message)


def _wrong(
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    named: Mapping[str, inspect.Parameter],
    opaque: tuple[type, ...],
) -> Iterator[CallMistake]:
    from inspect import formatannotation

    hints = _hints(target)
    for key, value in arguments.items():
        if key not in named or key not in hints:
            continue
        if value is None and named[key].default is None:
            continue  # `size: int = None` is how older code writes an optional argument
        if not fits_annotation(value, hints[key], opaque=opaque):
            wanted = formatannotation(hints[key])
            message = f"{_name(target)} takes {key} as {wanted}, not {_short(value)}"
            yield CallMistake(key=key, kind="wrong type", message=message)


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


def fits_annotation(value: Any, annotation: Any, *, opaque: tuple[type, ...] = ()) -> bool:
    """Return whether a value can be what an annotation asks for; true when that is unsure.

    Args:
        value: A value of a config.
        annotation: The evaluated annotation of a parameter.
        opaque: Classes whose instances stand for other values, and so fit every annotation.
    """
    if annotation is Any or isinstance(value, opaque):
        return True
    if annotation is None or annotation is type(None):
        return value is None
    origin, choices = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(fits_annotation(value, choice, opaque=opaque) for choice in choices)
    if origin is Literal:
        return value in choices
    if origin is typing.Annotated:
        return fits_annotation(value, choices[0], opaque=opaque)
    return _fits_class(value, origin or annotation, choices, opaque)


def _fits_class(
    value: Any, kind: Any, arguments: tuple[Any, ...], opaque: tuple[type, ...]
) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind in (str, int, bool, bytes, complex):
        return isinstance(value, kind)
    if kind in _SEQUENCES:
        return _fits_sequence(value, kind, arguments, opaque)
    if kind in _MAPPINGS:
        return isinstance(value, collections.abc.Mapping)
    return True


def _fits_sequence(
    value: Any, kind: Any, arguments: tuple[Any, ...], opaque: tuple[type, ...]
) -> bool:
    # Config files write lists for tuples, and dicts for objects that are iterable once built.
    if isinstance(value, bool | int | float) or value is None:
        return False
    item = arguments[0] if arguments and (len(arguments) == 1 or arguments[1:] == (...,)) else Any
    if isinstance(value, str):
        return kind not in (list, tuple) and fits_annotation("", item)
    if not isinstance(value, list | tuple):
        return isinstance(value, dict) or kind not in (list, tuple)
    return all(fits_annotation(element, item, opaque=opaque) for element in value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
