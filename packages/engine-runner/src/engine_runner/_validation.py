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
    unit = "epochs" if runner.trains_by_epoch else "iterations"
    last = runner.max_epochs if runner.trains_by_epoch else runner.max_iters
    loop = runner.train_loop
    validates = getattr(loop, "validates", None)  # a loop of the user's may have none
    if validates is None or last == 0 or validates(last):
        return None
    return _reason(last, unit, loop.val_begin, loop.val_interval)


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
        late = "later" in reason
        key = "val_begin" if late else "val_interval"
        yield f"train_cfg.{key}", f"{key} must be in the training: {reason}"
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
    interval = loop.get("val_interval", 1 if unit == "epochs" else 1000)
    plain = all(isinstance(value, int) for value in (last, begin, interval))
    # In other cases the loop has the mistake, or chooses among several intervals.
    if not plain or loop.get("val_before_train") or last == 0 or interval < 1:
        return None
    at_end = loop.get("val_at_end", True)
    due = last if at_end or loop.get("dynamic_intervals") else last // interval * interval
    return None if due and begin <= due else _reason(last, unit, begin, interval)


def _reason(last: Any, unit: str, begin: Any, interval: Any) -> str:
    if begin > last:
        return f"val_begin={begin} is later than the last of {last} {unit}; lower val_begin"
    return (
        f"none is due from val_begin={begin} to the last of {last} {unit} with "
        f"val_interval={interval} and val_at_end=False; lower val_interval, or set val_at_end=True"
    )


def _waiting(values: EngineConfig | Config) -> Iterator[tuple[str, str]]:
    """Yield the key path and the name of each setting that acts at a validation only."""
    for key in ("default_hooks", "custom_hooks"):
        for path, hook in entries(key, values.get(key)):
            if hook.get("save_best") is not None:
                yield f"{path}.save_best", f"save_best={hook['save_best']!r}"
            elif kind_of(hook) == "EarlyStoppingHook":
                yield path, "EarlyStoppingHook"
    for path, schedule in entries("param_scheduler", values.get("param_scheduler")):
        if kind_of(schedule).startswith("ReduceOnPlateau"):
            yield path, kind_of(schedule)


def entries(path: str, value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
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
            yield from entries(f"{path}.{name}", entry)


def kind_of(config: Mapping[str, Any]) -> str:
    """Return the name of a ``type`` without its scope."""
    kind = config["type"]
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return name.replace("::", ".").rpartition(".")[2]
