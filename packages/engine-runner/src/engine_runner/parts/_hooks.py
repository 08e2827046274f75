"""Build the hooks."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine_registry import HOOKS
from engine_runner._errors import SettingsError
from engine_runner._types import Config
from engine_utils import did_you_mean

# By the names under which a config replaces or drops them. Types are names that HOOKS finds.
_DEFAULT: Mapping[str, Config] = {
    "runtime_info": {"type": "RuntimeInfoHook"},
    "timer": {"type": "IterTimerHook"},
    "sampler_seed": {"type": "DistSamplerSeedHook"},
    "logger": {"type": "LoggerHook"},
    "model_summary": {"type": "ModelSummaryHook"},
    "compile_report": {"type": "CompileReportHook"},
    "param_scheduler": {"type": "ParamSchedulerHook"},
    "finite_loss": {"type": "FiniteLossHook"},
    "checkpoint": {"type": "CheckpointHook", "interval": 1},
    "save_on_interrupt": {"type": "SaveOnInterrupt"},
    "progress_bar": {"type": "ProgressBar"},
}


def default_hooks(given: Config | None = None) -> dict[str, Any]:
    """Return the default hooks by name, changed as ``default_hooks`` of a config says.

    Args:
        given: Hooks by name, which replace default ones or are added; ``None`` drops one.

    Raises:
        SettingsError: A hook is dropped that is not a default one.
    """
    for _, message in dropped_mistakes(given or {}):
        raise SettingsError(message)
    hooks = {**_DEFAULT, **(given or {})}
    return {name: hook for name, hook in hooks.items() if hook is not None}


def dropped_mistakes(given: Config) -> Iterator[tuple[str, str]]:
    """Yield the key path and the message of each hook that is dropped but not a default one."""
    for name, hook in given.items():
        if hook is None and name not in _DEFAULT:
            yield (
                f"default_hooks.{name}",
                f"default_hooks drops {name!r}, which is not a default hook"
                f"{did_you_mean(name, _DEFAULT)}; the default hooks are {', '.join(_DEFAULT)}",
            )


def build_hook(hook: Any) -> tuple[Any, int | str | None]:
    """Return the hook of a config, or the hook given, and the priority that its config sets."""
    if not isinstance(hook, Mapping):
        return hook, None
    config = dict(hook)
    priority = config.pop("priority", None)
    return HOOKS.build(config), priority
