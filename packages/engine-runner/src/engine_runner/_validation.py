"""Find out that a run never validates, for the settings that wait for a validation."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine_config import Config as EngineConfig
from engine_runner._protocols import Run
from engine_runner._types import Config

_WAY_OUT = "set val_dataloader, val_cfg and val_evaluator"


def never_validates(runner: Run) -> str | None:
    """Return why a training never validates, with the way out, or None if it does."""
    if runner.val_loop is None:
        return f"the run has none; {_WAY_OUT}"
    last = runner.max_epochs if runner.trains_by_epoch else runner.max_iters
    begin = getattr(runner.train_loop, "val_begin", 0)  # a loop of the user's may have none
    return _too_late(begin, last, "epochs" if runner.trains_by_epoch else "iterations")


def validation_mistakes(values: EngineConfig | Config) -> Iterator[tuple[str, str]]:
    """Yield the settings of a training that wait for a validation which never takes place.

    Args:
        values: The settings by name.

    Yields:
        The key path and the message of each.
    """
    if not isinstance(values.get("train_cfg"), Mapping):
        return
    reason = _never_validates_by(values)
    if reason is None:
        return
    if values.get("val_cfg") is not None:
        yield "train_cfg.val_begin", f"val_begin must be in the training: {reason}"
    for path, name in _waiting(values):
        yield path, f"{name} waits for a validation, and {reason}; or remove it"


def _never_validates_by(values: EngineConfig | Config) -> str | None:
    if values.get("val_cfg") is None:
        return f"the run has none; {_WAY_OUT}"
    loop = values["train_cfg"]
    last, unit = loop.get("max_epochs"), "epochs"
    if last is None:
        last, unit = loop.get("max_iters"), "iterations"
    begin = loop.get("val_begin", 0)
    plain = isinstance(last, int) and isinstance(begin, int)  # else the loop has the mistake
    return _too_late(begin, last, unit) if plain else None


def _too_late(begin: Any, last: Any, unit: str) -> str | None:
    if last == 0 or begin <= last:
        return None
    return f"val_begin={begin} is later than the last of {last} {unit}; lower val_begin"


def _waiting(values: EngineConfig | Config) -> Iterator[tuple[str, str]]:
    """Yield the key path and the name of each setting that acts at a validation only."""
    for key in ("default_hooks", "custom_hooks"):
        for path, hook in _entries(key, values.get(key)):
            if hook.get("save_best") is not None:
                yield f"{path}.save_best", f"save_best={hook['save_best']!r}"
            elif _kind(hook) == "EarlyStoppingHook":
                yield path, "EarlyStoppingHook"
    for path, schedule in _entries("param_scheduler", values.get("param_scheduler")):
        if _kind(schedule).startswith("ReduceOnPlateau"):
            yield path, _kind(schedule)


def _entries(path: str, value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the configs with a ``type`` in a part, a list or a mapping of parts, at two levels."""
    if isinstance(value, Mapping) and "type" in value:
        yield path, value
        return
    if isinstance(value, Mapping):
        items: Any = value.items()
    else:
        items = enumerate(value) if isinstance(value, Sequence) else ()
    for name, entry in items:
        if isinstance(entry, Mapping | list | tuple):
            yield from _entries(f"{path}.{name}", entry)


def _kind(config: Mapping[str, Any]) -> str:
    """Return the name of a ``type`` without its scope."""
    kind = config["type"]
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return name.replace("::", ".").rpartition(".")[2]
