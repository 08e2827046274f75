"""Find what each dict of a config is passed to, by the table of parts."""

import inspect
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from engine_config import Config
from engine_registry import make_resolver
from engine_runner._settings import TABLE
from engine_runner._table import BY_NAME, NESTED, OTHER_MEANING, READ_BEFORE, Row

Resolve = Callable[[object, str], Callable[..., Any] | None]

_REGISTRIES = {key: row.registries for key, row in {**NESTED, **TABLE}.items() if row.registries}
_READ = TABLE.keys() | set(READ_BEFORE)
_OF_THE_TOP = TABLE.keys() - NESTED.keys()


class PartResolver:
    """The resolver for ``Config.check`` that follows the table of parts.

    Args:
        config: The config that is checked.
        runner: The class that the config is for.

    Attributes:
        found: The class and the row of each part that was resolved, by its key path.

    Example:
        >>> config = Config({"custom_hooks": [{"type": "LoggerHook"}]})
        >>> resolver = PartResolver(config, dict)
        >>> resolver("LoggerHook", "custom_hooks.0").func.__name__
        'LoggerHook'
        >>> list(resolver.found)
        ['custom_hooks.0']
    """

    def __init__(self, config: Config, runner: Callable[..., Any]) -> None:
        self._config = config
        self._runner = runner
        self._resolve = make_resolver(
            _REGISTRIES, scope=config.get("default_scope"), other_meaning=OTHER_MEANING
        )
        self.found: dict[str, tuple[Callable[..., Any], Row]] = {}

    def __call__(self, type_value: object, key_path: str) -> Callable[..., Any] | None:
        """Return what the dict at a key path is passed to, or None."""
        keys = [key for key in re.split(r"[.\[\]]+", key_path) if key]
        if keys and keys[0] not in _READ:
            return None  # a helper of the user's: what of it is used stands in another key, too
        row = _row(keys)
        if type_value is not None:
            found = self._resolve(type_value, _place(keys))
        elif row is not None:
            found = self._without_type(row, keys)
        else:
            found = None
        if found is None or row is None:
            return found
        self.found[".".join(keys)] = (found, row)
        return adapted(found, row, self._runner)

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield the key path and the message of each unknown name that stands for a config."""
        for path, row in {**TABLE, **BY_NAME}.items():
            name = part_at(self._config, path.split("."))
            if row.by_name and isinstance(name, str):
                try:
                    self._resolve(name, path)
                except LookupError as error:
                    yield path, str(error.args[0])

    def _without_type(self, row: Row, keys: list[str]) -> Callable[..., Any] | None:
        """Return what a dict without ``type`` is passed to.

        Settings check the keys of a target at the top level themselves.
        """
        part = part_at(self._config, keys)
        if part is None:
            return None
        implied = row.implied_type(part)
        if implied is not None:
            return self._resolve(implied, ".".join(keys))
        return row.target if len(keys) > 1 else None


def part_at(config: Config, keys: list[str]) -> Any:
    """Return the value of a config at a key path, or None if there is none.

    A key that contains dots, as in ``custom_keys``, is not found: it belongs to no row.
    """
    value: Any = config
    try:
        for key in keys:
            value = value[int(key)] if isinstance(value, list | tuple) else value[key]
    except (LookupError, TypeError, ValueError):
        return None
    return value


def root_of(runner: Callable[..., Any]) -> Callable[..., Any]:
    """Return what a whole config is passed to: the runner, and any key besides.

    `key_mistakes` reports the keys that are nearly those of settings.
    """
    root = adapted(runner, Row(takes=(*TABLE, *READ_BEFORE)))
    signature = inspect.signature(root)
    parameters = list(signature.parameters.values())
    if not any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters):
        parameters.append(inspect.Parameter("others", inspect.Parameter.VAR_KEYWORD))
    root.__signature__ = signature.replace(  # type: ignore[attr-defined]  # read by inspect
        parameters=parameters
    )
    return root


def adapted(
    found: Callable[..., Any], row: Row, runner: Callable[..., Any] | None = None
) -> Callable[..., Any]:
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
    passed_on = _passed_on(found, runner)
    taken = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
        for name in (*row.takes, *passed_on)
        if name not in signature.parameters
    ]
    # `inspect.signature` reads this attribute: the keys the builder takes count as arguments.
    bound.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*named, *taken, *([] if passed_on else variable)]
    )
    return bound


def _passed_on(found: Callable[..., Any], runner: Callable[..., Any] | None) -> list[str]:
    """Return the arguments of the method of the runner that takes the ``**kwargs`` of ``found``."""
    # The class's own: the ``**kwargs`` of a subclass usually go to the constructor of its base.
    method = getattr(runner, getattr(found, "__dict__", {}).get("kwargs_of", ""), None)
    return list(inspect.signature(method).parameters)[1:] if method is not None else []


def _row(keys: list[str]) -> Row | None:
    """Return the row of a key path: at the top level by its key or its holder, below by the last.

    A model may have a ``train_cfg`` of its own, which is not a loop.
    """
    if not keys:
        return None
    top = TABLE.get(keys[0])
    if len(keys) == 1:
        return top or NESTED.get(keys[0])
    names = [key for key in keys if not key.isdecimal()]
    nested = NESTED.get(names[-1])
    if top is None or not top.many or len(names) > 2:
        listed = keys[-1].isdecimal()  # an item of a list is a part where its row says so
        return None if listed and nested is not None and not nested.many else nested
    # The names of hooks, and of optimizers and their schedules, are the user's.
    return nested if len(names) == 2 and nested and not _names_are_free(top) else top


def _place(keys: list[str]) -> str:
    """Return the key path that decides where a ``type`` is looked up.

    A hook may be called ``param_scheduler``, and the ``train_cfg`` of a model is not a loop: keys
    of the top level mean something else below it.
    """
    first, *rest = keys
    if rest and first in TABLE and _names_are_free(TABLE[first]):
        rest = rest[1:]
    return ".".join([first, *(f"own_{key}" if key in _OF_THE_TOP else key for key in rest)])


def _names_are_free(row: Row) -> bool:
    return row.many and row.shape == "mapping"
