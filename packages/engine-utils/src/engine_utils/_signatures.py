"""Check the arguments of a call against the signature of the callable, without calling it."""

from __future__ import annotations

import collections.abc
import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from engine_utils._secrets import mask_secrets
from engine_utils._suggest import closest_name

if TYPE_CHECKING:
    import inspect

MistakeKind = Literal["unknown argument", "missing argument", "wrong type"]

# The classes of values that a config file can hold. A value of another class, such as an array or a
# built object, may behave like a number or a sequence. It is not checked.
_PLAIN: Final = (str, bytes, bool, int, float, complex, list, tuple, dict, set, frozenset)
_ATOMS: Final = (str, int, bool, bytes)
_LISTS: Final = (list, tuple)
_SEQUENCES: Final = (
    *_LISTS,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Iterable,
    collections.abc.Collection,
)
_MAPPINGS: Final = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_SHOWN_LENGTH: Final = 60


class CallMistake(NamedTuple):
    """One mistake in the arguments of a call.

    Attributes:
        key: The name of the argument.
        kind: The kind of mistake.
        message: The rule, the value and the solution.

    Example:
        >>> def resize(width: int): ...
        >>> for mistake in call_mistakes(resize, {"width": "2"}):
        ...     print(f"{mistake.kind}: {mistake.message}")
        wrong type: width of resize must be int, got '2'
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
    """Yield each mistake in the call ``target(**arguments)``, without calling ``target``.

    Only definite mistakes are reported. A target without a signature is not checked, and a target
    with ``**kwargs`` accepts any argument. A value is checked if its annotation can be evaluated
    and names a number, a string, a sequence or a mapping.

    Args:
        target: A class, a function, or a ``functools.partial`` with arguments bound.
        arguments: The arguments by name.
        opaque: Classes whose instances stand for other values, and so fit every annotation.

    Example:
        >>> def resize(width: int, height: int = 1): ...
        >>> [mistake.message for mistake in call_mistakes(resize, {"width": 2, "hight": 3})]
        ["resize has no argument 'hight'; did you mean 'height'?"]
    """
    import inspect  # as slow to import as this package, and only checks need it

    try:
        parameters = inspect.signature(target).parameters
    except (ValueError, TypeError):  # some built-in classes have no signature
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
    unset = [key for key in named if key not in arguments]
    for key in arguments:
        if key in named:
            continue
        # An argument that is already set is rarely the intended one, except for one more letter.
        typo = closest_name(key, named, likeness=0.9)
        close = typo or closest_name(key, unset) or closest_name(key, named)
        hint = f"did you mean {close!r}?" if close else f"it takes: {', '.join(named) or 'none'}"
        message = f"{name} has no argument {key!r}; {hint}"
        yield CallMistake(key=key, kind="unknown argument", message=message)


def _wrong(
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    named: Mapping[str, inspect.Parameter],
    opaque: tuple[type, ...],
) -> Iterator[CallMistake]:
    hints = _hints(target)
    for key, value in arguments.items():
        if key not in named or key not in hints:
            continue
        if value is None and named[key].default is None:
            continue  # `size: int = None` is how older code writes an optional argument
        if not fits_annotation(value, hints[key], opaque=opaque):
            rule = _rule(hints[key])
            shown = mask_secrets({key: value})[key]
            message = f"{key} of {_name(target)} must be {rule}, got {_short(shown)}"
            yield CallMistake(key=key, kind="wrong type", message=message)


def _name(target: Callable[..., Any]) -> str:
    inner = _unbound(target)
    name = getattr(inner, "__qualname__", None) or type(inner).__qualname__
    # The qualified name of a local class begins with the name of its function: drop it.
    return str(name).rpartition("<locals>.")[2]


def _unbound(target: Callable[..., Any]) -> Any:
    return target.func if isinstance(target, functools.partial) else target


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    import inspect

    inner = _unbound(target)
    if isinstance(inner, type):
        function = getattr(inner, "__init__")  # noqa: B009 - mypy warns of `inner.__init__`
    elif inspect.isroutine(inner) or hasattr(inner, "__wrapped__"):
        function = inner
    else:
        # An object with `__call__`: its own annotations are those of its attributes.
        function = type(inner).__call__
    try:
        return typing.get_type_hints(function)
    except Exception:  # annotations are user code, which may raise anything
        return dict(_single_hints(function))


def _single_hints(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield the annotations that can be evaluated.

    An annotation cannot be evaluated if it uses a name imported under ``TYPE_CHECKING`` only.
    """
    for key, annotation in getattr(function, "__annotations__", {}).items():
        if isinstance(annotation, str):
            try:
                annotation = eval(annotation, getattr(function, "__globals__", {}))
            except Exception:  # as above
                continue
        yield key, annotation


def fits_annotation(value: Any, annotation: Any, *, opaque: tuple[type, ...] = ()) -> bool:
    """Return whether a value fits an annotation; True if this cannot be decided.

    Args:
        value: A value of a config.
        annotation: The evaluated annotation of a parameter.
        opaque: Classes whose instances stand for other values, and so fit every annotation.

    Example:
        >>> fits_annotation([1, 2], tuple[int, ...]), fits_annotation([1, "2"], list[int])
        (True, False)
    """
    if annotation is Any or isinstance(value, opaque):
        return True
    # Other objects may define conversions, so they are not checked. A class is checked: it is never
    # a number or a string.
    if value is not None and not isinstance(value, (*_PLAIN, type)):
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
    if kind in (float, complex):
        # An integer fits `float` and `complex`. A bool does not, although `bool` is a subclass of
        # `int`.
        return isinstance(value, int | float | kind) and not isinstance(value, bool)
    if kind in _ATOMS:
        return isinstance(value, kind)
    if kind in _SEQUENCES:
        return _fits_sequence(value, kind, arguments, opaque)
    if kind in _MAPPINGS:
        return isinstance(value, dict)
    return True


def _fits_sequence(
    value: Any, kind: Any, arguments: tuple[Any, ...], opaque: tuple[type, ...]
) -> bool:
    # A config writes a tuple as a list, and an iterable object as the dict that builds it.
    if value is None or isinstance(value, bool | int | float | complex):
        return False
    if isinstance(value, str | bytes):
        item = str if isinstance(value, str) else int
        return kind not in _LISTS and (not arguments or fits_annotation(item(), arguments[0]))
    if not isinstance(value, list | tuple):
        return isinstance(value, dict) or kind not in _LISTS
    return all(
        fits_annotation(element, item, opaque=opaque)
        for element, item in zip(value, _items(kind, arguments, len(value)), strict=True)
    )


def _items(kind: Any, arguments: tuple[Any, ...], length: int) -> list[Any]:
    """Return the annotation of each element of a sequence."""
    if kind is tuple and arguments and arguments[-1] is not ...:
        # `tuple[int, str]`: one annotation per element. A wrong length passes, because a class may
        # accept it.
        return list(arguments) if len(arguments) == length else [Any] * length
    return [arguments[0] if arguments else Any] * length


def _rule(annotation: Any) -> str:
    from inspect import formatannotation

    if typing.get_origin(annotation) is Literal:
        return f"one of {', '.join(map(repr, typing.get_args(annotation)))}"
    return formatannotation(annotation).replace("collections.abc.", "")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}..."
