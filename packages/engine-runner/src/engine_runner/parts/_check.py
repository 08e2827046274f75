"""Check a whole config against the table of parts, before anything of the run is built."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from engine_config import Config, ConfigError, Problem
from engine_registry import DefaultScope
from engine_runner._rules import hooks_rule
from engine_runner._settings import key_mistakes, setting_mistakes
from engine_runner._validation import entries, kind_of, validation_mistakes
from engine_runner.parts._hooks import dropped_mistakes
from engine_runner.parts._resolve import PartResolver, part_at, root_of
from engine_runner.parts._trial import trial_mistake

Mistakes = Iterator[tuple[str, str]]


def check_config(
    config: Config, runner: Callable[..., Any], *, trains: bool = True
) -> list[Problem]:
    """Return every mistake of a run's config, in the order of its keys.

    What this accepts, `Runner.from_cfg` accepts.

    Args:
        config: The merged config.
        runner: The class that the config is for.
        trains: Whether the run trains, and may wait for a validation in vain.
    """
    scope = config.get("default_scope")
    with DefaultScope.overwrite_default_scope(scope if isinstance(scope, str) else None):
        return _problems(config, runner, trains)


def _problems(config: Config, runner: Callable[..., Any], trains: bool) -> list[Problem]:
    resolver = PartResolver(config, runner)
    problems = config.check(resolver, root=root_of(runner))
    _add(problems, config, key_mistakes(config))
    _add(problems, config, setting_mistakes(config))
    _add(problems, config, _hook_mistakes(config))
    _add(problems, config, resolver.names())
    paths = [problem.key_path for problem in problems]
    _add(problems, config, _value_mistakes(config, resolver, paths))
    if trains:
        _add(problems, config, _waiting_mistakes(config, problems))
    order = {key: index for index, key in enumerate(config)}
    return sorted(problems, key=lambda one: order.get(_first(one.key_path), len(order)))


def _add(problems: list[Problem], config: Config, mistakes: Mistakes) -> None:
    """Add the mistakes at key paths that have no problem yet: two rules may find the same one."""
    for path, message in mistakes:
        if all(problem.key_path != path for problem in problems):
            problems.append(_problem(config, path, message))


def _hook_mistakes(config: Config) -> Mistakes:
    hooks = config.get("default_hooks")
    if isinstance(hooks, Mapping) and not list(hooks_rule("default_hooks", hooks)):
        yield from dropped_mistakes(hooks)
    found = [
        item for key in ("default_hooks", "custom_hooks") for item in entries(key, config.get(key))
    ]
    averages = [path for path, hook in found if kind_of(hook) in ("EMAHook", "SWAHook")]
    for path in averages[1:]:
        yield path, f"at most one hook must average the weights, got {averages[0]}, too; keep one"


def _waiting_mistakes(config: Config, problems: list[Problem]) -> Mistakes:
    """Yield the settings that wait for a validation in vain, in parts without other problems."""
    wrong = {problem.key_path.rpartition(".")[0] for problem in problems}
    for path, message in validation_mistakes(config):
        if path.rpartition(".")[0] not in wrong:
            yield path, message


def _value_mistakes(config: Config, resolver: PartResolver, wrong: list[str]) -> Mistakes:
    """Yield the values that constructors do not accept, in parts without other problems."""
    for path, (found, row) in resolver.found.items():
        if any(f"{other}.".startswith(f"{path}.") for other in wrong):
            continue
        part = part_at(config, path.split("."))
        mistake = trial_mistake(found, row, part, config) if isinstance(part, Mapping) else None
        if mistake is not None:
            key, message = mistake
            yield f"{path}.{key}" if key else path, message


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
