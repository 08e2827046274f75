"""Check the dicts of a config against the signatures of the callables that they configure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from engine_config._dict import ConfigDict, marks_of, raw_items
from engine_config._keys import join
from engine_config._lazy import LazyObject
from engine_config._marks import NOWHERE, Mark
from engine_config.check._problem import Problem, ProblemKind
from engine_config.merge._merge import Note
from engine_config.origin import walk
from engine_utils import call_mistakes

_META: Final = frozenset(["type", "_scope_"])
# A lazy name is a placeholder for an object, so it fits every annotation.
_OPAQUE: Final = (LazyObject,)


class Resolver(Protocol):
    """Resolve a dict of a config to the callable that it configures, without calling it.

    `Config.check` calls the resolver for each dict inside the config, with the value of ``type``
    and the key path of the dict. For a dict without ``type`` the value is None. Its key path, such
    as ``randomness``, may still determine the callable. The top level of the config is not passed;
    see ``root`` of `Config.check`.

    The resolver returns the callable that takes the other keys as arguments. It binds arguments
    that the builder adds with `functools.partial`. It returns None to skip the check. It raises
    `LookupError` for an unknown type, with the closest names in the message, and `TypeError` for a
    value that cannot be a type.

    Example:
        >>> import collections, random
        >>> def resolve(type_value: object, key_path: str):
        ...     if type_value is None:
        ...         return random.Random if key_path == "randomness" else None
        ...     return getattr(collections, str(type_value), None)
        >>> resolver: Resolver = resolve
    """

    def __call__(self, type_value: object, key_path: str, /) -> Callable[..., Any] | None:
        """Return the callable that the dict configures, or None."""


def find_problems(
    config: ConfigDict, notes: list[Note], resolve: Resolver, root: Callable[..., Any] | None
) -> Iterator[Problem]:
    """Yield the problems of the top level, of the merge, and of each dict in order."""
    at_root = [] if root is None else list(_check_root(config, root))
    in_dicts = [
        problem
        for path, mark, value, scope in _dicts(config)
        for problem in _check_dict(path, mark, value, resolve, scope=scope)
    ]
    # The merge notes a misspelled option before any signature is known. The signature check may
    # find the same mistake, with a better message: then skip the note.
    unknown = ("unknown key", "unknown argument")
    found = {problem.key_path for problem in (*at_root, *in_dicts) if problem.kind in unknown}
    yield from at_root
    for note in notes:
        if note.kind != "unknown key" or note.key_path not in found:
            yield _problem(note.mark, note.key_path, note.message, note.kind)
    yield from in_dicts


def _dicts(config: ConfigDict) -> Iterator[tuple[str, Mark, ConfigDict, str]]:
    """Yield each dict inside the config with its path, mark and scope."""
    scopes: list[tuple[str, str]] = []
    for path, mark, value in walk(config, NOWHERE, ""):
        if not isinstance(value, ConfigDict):
            continue
        # The walk is depth-first, so a scope ends at the first path outside its dict.
        while scopes and not path.startswith(f"{scopes[-1][0]}."):
            scopes.pop()
        scope = dict.get(value, "_scope_")
        if isinstance(scope, str):
            scopes.append((path, scope))
        yield path, mark, value, scopes[-1][1] if scopes else ""


def _check_dict(
    path: str, mark: Mark, value: ConfigDict, resolve: Resolver, *, scope: str
) -> Iterator[Problem]:
    marks = marks_of(value)
    try:
        # dict.get, because ConfigDict would import a lazy name; `_resolved` does that.
        target = _resolved(dict.get(value, "type"), path, scope, resolve)
    except (LookupError, ImportError, TypeError) as error:
        message = str(error.args[0]) if error.args else repr(error)
        where = join(path, "type") if "type" in value else path
        yield _problem(marks.get("type", mark), where, message, "unknown type")
        return
    if target is None:
        return
    arguments = {key: item for key, item in raw_items(value).items() if key not in _META}
    for mistake in call_mistakes(target, arguments, opaque=_OPAQUE):
        key = mistake.key
        if key in arguments:
            yield _problem(marks.get(key, mark), join(path, key), mistake.message, mistake.kind)
        else:  # a missing argument has no line, so the line of its dict is used
            yield _problem(mark, path, mistake.message, mistake.kind)


def _resolved(kind: object, path: str, scope: str, resolve: Resolver) -> Callable[..., Any] | None:
    if isinstance(kind, LazyObject):
        kind = kind.resolve()
    if scope and isinstance(kind, str) and not kind.startswith(f"{scope}."):
        # Search the scope first, then its parents.
        try:
            return resolve(f"{scope}.{kind}", path)
        except LookupError:
            return resolve(kind, path)
    return resolve(kind, path)


def _check_root(config: ConfigDict, root: Callable[..., Any]) -> Iterator[Problem]:
    """Yield top-level keys similar to an argument of ``root``, and values of the wrong type.

    Any other key passes, because users store their own values at the top level. A missing argument
    passes too, because the program may set it later.
    """
    marks = marks_of(config)
    for mistake in call_mistakes(root, raw_items(config), opaque=_OPAQUE):
        if mistake.kind == "wrong type":
            yield _problem(marks[mistake.key], mistake.key, mistake.message, "wrong type")
        elif mistake.kind == "unknown argument" and "did you mean" in mistake.message:
            yield _problem(marks[mistake.key], mistake.key, mistake.message, "unknown key")


def _problem(mark: Mark, path: str, message: str, kind: ProblemKind) -> Problem:
    return Problem(file=mark.source.file, line=mark.line, key_path=path, message=message, kind=kind)
