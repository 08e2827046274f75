"""The settings that stop a run in time: each one is a hook, which `default_hooks` may name, too."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine_config import Config as EngineConfig
from engine_registry import HOOKS
from engine_runner._types import Config
from engine_utils import call_mistakes, did_you_mean

ON_BAD_LOSS = ("raise", "skip", "rollback")

_HOOKS = {"on_bad_loss": "finite_loss", "max_time": "time_limit"}


def on_bad_loss_rule(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield an action that does not exist, and its wrong options."""
    kind = value.get("type") if isinstance(value, Mapping) else value
    if kind not in ON_BAD_LOSS:
        yield (
            key,
            f"{key} must be one of {', '.join(ON_BAD_LOSS)}, or options such as "
            f"dict(type='rollback', max_rollbacks=3), got {value!r}"
            f"{did_you_mean(kind, ON_BAD_LOSS)}",
        )
        return
    if isinstance(value, Mapping):
        if "max_rollbacks" in value and kind != "rollback":
            yield f"{key}.max_rollbacks", f"{key}.max_rollbacks acts with 'rollback', got {kind!r}"
        if "window" in value and value.get("jump") is None:
            yield f"{key}.window", f"{key}.window acts with jump alone; set {key}.jump"
    if isinstance(value, Mapping) and "action" in value:
        yield f"{key}.action", f"{key}.action must be left out, as {key}.type is the action"
        return
    yield from _trial(key, _finite_loss(value))


def max_time_rule(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield what is not a time, and wrong options."""
    if isinstance(value, Mapping) and "limit" not in value:
        hint = next(filter(None, (did_you_mean(name, ["limit"]) for name in value)), "")
        yield key, f"{key} must have a limit, as in dict(limit='04:00:00'), got {value!r}{hint}"
        return
    yield from _trial(key, _time_limit(value))


def safeguard_mistakes(values: EngineConfig | Config) -> Iterator[tuple[str, str]]:
    """Yield the settings whose hook ``default_hooks`` sets, too.

    Args:
        values: The settings by name.
    """
    hooks = values.get("default_hooks")
    for name, hook in _HOOKS.items():
        if values.get(name) is not None and isinstance(hooks, Mapping) and hook in hooks:
            yield (
                name,
                f"{name} and default_hooks.{hook} are both set; remove one of them",
            )


def with_safeguards(default_hooks: Config | None, on_bad_loss: Any, max_time: Any) -> Config:
    """Return ``default_hooks`` with the hooks of the two settings.

    Args:
        default_hooks: The setting.
        on_bad_loss: The setting.
        max_time: The setting.
    """
    hooks = dict(default_hooks or {})
    if on_bad_loss is not None:
        hooks[_HOOKS["on_bad_loss"]] = _finite_loss(on_bad_loss)
    if max_time is not None:
        hooks[_HOOKS["max_time"]] = _time_limit(max_time)
    return hooks


def _finite_loss(value: Any) -> dict[str, Any]:
    options = dict(value) if isinstance(value, Mapping) else {"type": value}
    return {"action": options.pop("type"), "type": "FiniteLossHook", **options}


def _time_limit(value: Any) -> dict[str, Any]:
    options = dict(value) if isinstance(value, Mapping) else {"limit": value}
    return {"type": "TimeLimitHook", **options}


def _trial(key: str, config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the hook of a config does not take; it is constructed on trial."""
    kind: Any = HOOKS.get(config.pop("type"))
    for mistake in call_mistakes(kind, config):
        yield f"{key}.{mistake.key}", mistake.message.replace(kind.__name__, key, 1)
        return
    try:
        kind(**config)
    except (TypeError, ValueError) as error:
        yield key, f"{key}.{error}"
