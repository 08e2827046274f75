"""Finds the mistakes in a config, all of them at once, before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from engine_config._dict import ConfigDict, marks_of, raw_items
from engine_config._find import walk
from engine_config._lazy import LazyObject
from engine_config._marks import NOWHERE, Mark, join
from engine_config._merge import Note
from engine_config._signature import mistakes

Kind = Literal[
    "wrong value",
    "unknown type",
    "unknown argument",
    "missing argument",
    "wrong type",
    "dead _delete_",
    "unknown key",
]
_META: Final = frozenset(["type", "_scope_"])


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake in a config.

    Attributes:
        file: the file it is in, or the name of a command-line option.
        line: the line, counted from 1; 0 when it is not in a file.
        key_path: the dotted path of the key.
        message: what is wrong, and what was probably meant.
        kind: the sort of mistake.

    Example:
        >>> print(Problem(file="a.py", line=2, key_path="lrr", message="no", kind="unknown key"))
        a.py:2: lrr: no
    """

    file: str
    line: int
    key_path: str
    message: str
    kind: Kind

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.key_path, self.message) if part)


class Resolver(Protocol):
    """Finds what a `type` in a config names, without constructing it.

    Called with the value of `type` and the key path of its dict. It returns what will be called
    with the other keys of the dict; arguments that the builder adds are bound with
    `functools.partial`. It returns None when it has no opinion, and raises `LookupError`, with the
    closest names in its message, when there is no such type, and `TypeError` when the value can be
    no type at all.

    Example:
        >>> import collections
        >>> def resolve(type_value: object, key_path: str):
        ...     return getattr(collections, str(type_value), None)
        >>> resolver: Resolver = resolve
    """

    def __call__(self, type_value: object, key_path: str, /) -> Callable[..., Any] | None:
        """Return what the type names, or None."""


def find_problems(
    config: ConfigDict, notes: list[Note], resolve: Resolver, root: Callable[..., Any] | None
) -> Iterator[Problem]:
    """Yield the problems of a config, in the order of its keys; see `Config.check`."""
    if root is not None:
        yield from _check_root(config, root)
    for note in notes:
        yield _problem(note.mark, note.key_path, note.message, note.kind)
    for path, mark, value, scope in _typed(config):
        yield from _check_dict(path, mark, value, resolve, scope=scope)


def _typed(config: ConfigDict) -> Iterator[tuple[str, Mark, ConfigDict, str]]:
    """Yield every dict that has a type, with the scope that holds inside of it."""
    scopes: list[tuple[str, str]] = []
    for path, mark, value in walk(config, NOWHERE, ""):
        if not isinstance(value, ConfigDict):
            continue
        while scopes and not path.startswith(f"{scopes[-1][0]}."):
            scopes.pop()
        scope = dict.get(value, "_scope_")
        if isinstance(scope, str):
            scopes.append((path, scope))
        if "type" in value:
            yield path, mark, value, scopes[-1][1] if scopes else ""


def _check_dict(
    path: str, mark: Mark, value: ConfigDict, resolve: Resolver, *, scope: str
) -> Iterator[Problem]:
    marks = marks_of(value)
    place = marks.get("type", mark)
    try:
        target = _resolved(dict.__getitem__(value, "type"), path, scope, resolve)
    except (LookupError, ImportError, TypeError) as error:
        message = str(error.args[0]) if error.args else repr(error)
        yield _problem(place, join(path, "type"), message, "unknown type")
        return
    if target is None:
        return
    arguments = {key: item for key, item in raw_items(value).items() if key not in _META}
    for mistake in mistakes(target, arguments):
        key = mistake.key
        at, where = (mark, path) if key is None else (marks.get(key, mark), join(path, key))
        yield _problem(at, where, mistake.message, mistake.kind)


def _resolved(kind: object, path: str, scope: str, resolve: Resolver) -> Callable[..., Any] | None:
    if isinstance(kind, LazyObject):
        kind = kind.resolve()
    if scope and isinstance(kind, str) and not kind.startswith(f"{scope}."):
        # Inside a scope its own types come first, and those of its parents after them.
        try:
            return resolve(f"{scope}.{kind}", path)
        except LookupError:
            return resolve(kind, path)
    return resolve(kind, path)


def _check_root(config: ConfigDict, root: Callable[..., Any]) -> Iterator[Problem]:
    """Yield top-level keys that are nearly an argument of what the config is for.

    Any other key is welcome, since configs keep values of their own at the top level.
    """
    arguments = raw_items(config)
    for mistake in mistakes(root, arguments):
        key = mistake.key
        if (
            mistake.kind == "unknown argument"
            and key is not None
            and "did you mean" in mistake.message
        ):
            yield _problem(marks_of(config)[key], key, mistake.message, "unknown key")
        elif mistake.kind == "wrong type" and key is not None:
            yield _problem(marks_of(config)[key], key, mistake.message, "wrong type")


def _problem(mark: Mark, path: str, message: str, kind: Kind) -> Problem:
    return Problem(file=mark.source.file, line=mark.line, key_path=path, message=message, kind=kind)
