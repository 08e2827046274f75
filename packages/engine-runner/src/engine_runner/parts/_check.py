"""Check a whole config against the table of parts, before anything is built."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

from engine_config import Config, ConfigError, Problem
from engine_registry import make_resolver
from engine_runner._errors import SettingsError
from engine_runner._rules import hooks_rule
from engine_runner._settings import TABLE, key_mistakes, setting_mistakes
from engine_runner._table import NESTED, OTHER_MEANING, READ_BEFORE, Row
from engine_runner.parts._hooks import default_hooks

Resolve = Callable[[object, str], Callable[..., Any] | None]

_REGISTRIES = {key: row.registries for key, row in {**NESTED, **TABLE}.items() if row.registries}


def check_config(config: Config, runner: Callable[..., Any]) -> list[Problem]:
    """Return every mistake of a run's config, in the order of its keys.

    What this accepts, `Runner.from_cfg` accepts.

    Args:
        config: The merged config.
        runner: The class that the config is for.
    """
    found = config.check(runner_resolver(config), root=_root(runner))
    places = {(problem.key_path, problem.line) for problem in found}
    for path, message in _mistakes(config):
        problem = _problem(config, path, message)
        if (problem.key_path, problem.line) not in places:
            found.append(problem)
    order = {key: index for index, key in enumerate(config)}
    return sorted(found, key=lambda one: order.get(_first(one.key_path), len(order)))


def runner_resolver(config: Config) -> Resolve:
    """Return the resolver for ``Config.check`` that follows the table of parts.

    Args:
        config: The config that is checked.
    """
    resolve = make_resolver(_REGISTRIES, other_meaning=OTHER_MEANING)

    def resolve_part(type_value: object, key_path: str) -> Callable[..., Any] | None:
        keys = [key for key in re.split(r"[.\[\]]+", key_path) if key]
        row = _row(keys)
        if type_value is None:
            return _without_type(row, keys, config, resolve)
        found = resolve(type_value, key_path)
        return found if found is None or row is None else _adapted(found, row)

    return resolve_part


def _mistakes(config: Config) -> Iterator[tuple[str, str]]:
    yield from key_mistakes(config)
    yield from setting_mistakes(config)
    hooks = config.get("default_hooks")
    if isinstance(hooks, Mapping) and not list(hooks_rule("default_hooks", hooks)):
        try:
            default_hooks(hooks)
        except SettingsError as error:
            yield "default_hooks", str(error)


def _problem(config: Config, path: str, message: str) -> Problem:
    """Return a problem at the line that sets a key, or at the nearest one above it."""
    kind: Literal["wrong value"] = "wrong value"
    place = path
    while place:
        try:
            origin = config.origin(place)
        except ConfigError:  # a missing key: the dict that lacks it has a line
            place = place.rpartition(".")[0]
            continue
        return Problem(
            file=origin.file, line=origin.line, key_path=path, message=message, kind=kind
        )
    file = str(config.filename or "the config")
    return Problem(file=file, line=0, key_path=path, message=message, kind=kind)


def _first(key_path: str) -> str:
    return re.split(r"[.\[]", key_path, maxsplit=1)[0]


def _row(keys: list[str]) -> Row | None:
    """Return the row of a key path: at the top level by its key or its holder, below by the last.

    A model may have a ``train_cfg`` of its own, which is not a loop.
    """
    if not keys:
        return None
    top = TABLE.get(keys[0])
    if len(keys) == 1:
        return top or NESTED.get(keys[0])
    if len(keys) == 2 and top is not None and top.many:
        return top
    return NESTED.get(keys[-1])


def _without_type(
    row: Row | None, keys: list[str], config: Config, resolve: Resolve
) -> Callable[..., Any] | None:
    """Return what a dict without ``type`` is passed to.

    Settings check the keys of a target at the top level themselves.
    """
    if row is None:
        return None
    try:
        value: Any = config
        for key in keys:
            value = value[int(key)] if isinstance(value, list | tuple) else value[key]
    except (KeyError, IndexError, ValueError):
        return None  # a key that contains dots, as in ``custom_keys``, belongs to no row
    implied = row.implied_type(value)
    if implied is not None:
        found = resolve(implied, ".".join(keys))
        return None if found is None else _adapted(found, row)
    return _adapted(row.target, row) if row.target is not None and len(keys) > 1 else None


def _root(runner: Callable[..., Any]) -> Callable[..., Any]:
    """Return what a whole config is passed to: the runner, and any key besides.

    `key_mistakes` reports the keys that are nearly those of settings.
    """
    adapted = _adapted(runner, Row(takes=(*TABLE, *READ_BEFORE)))
    signature = inspect.signature(adapted)
    parameters = list(signature.parameters.values())
    if not any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters):
        parameters.append(inspect.Parameter("others", inspect.Parameter.VAR_KEYWORD))
    adapted.__signature__ = signature.replace(  # type: ignore[attr-defined]  # read by inspect
        parameters=parameters
    )
    return adapted


def _adapted(found: Callable[..., Any], row: Row) -> Callable[..., Any]:
    """Return ``found`` with the arguments bound that the builder adds, or takes for itself."""
    try:
        parameters = inspect.signature(found).parameters
    except (ValueError, TypeError):
        return found
    adds = {name: None for name in row.adds if name in parameters}
    if row.first:
        adds |= dict.fromkeys(list(parameters)[:1])
    bound = partial(found, **adds)
    signature = inspect.signature(bound)
    kept = list(signature.parameters.values())
    variable = [item for item in kept if item.kind is inspect.Parameter.VAR_KEYWORD]
    named = [item for item in kept if item.kind is not inspect.Parameter.VAR_KEYWORD]
    taken = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
        for name in row.takes
        if name not in signature.parameters
    ]
    # `inspect.signature` reads this attribute: the keys the builder takes count as arguments.
    bound.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*named, *taken, *variable]
    )
    return bound
