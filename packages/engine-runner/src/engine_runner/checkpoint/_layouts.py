"""Convert a checkpoint between the layout of this engine and that of ``mmengine``."""

import datetime
import logging
import re
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from engine_model.weights import CallByName
from engine_runner.checkpoint._foreign import is_foreign, readable
from engine_runner.checkpoint._foreign_hub import has_placeholder
from engine_utils import plain_value

Layout = Literal["engine", "mmengine"]

_log = logging.getLogger("engine.runner")

# What only this engine resumes.
_OWN = frozenset(
    {
        "accumulation",
        "buffers",
        "dataloader",
        "ema_buffers",
        "hooks",
        "optimizer_options",
        "progress",
        "random",
        "records",
    }
)
_HISTORY = ("mmengine.logging.history_buffer", "HistoryBuffer")
_NUMBER = re.compile(r"_(\d+)\.pth$")


def to_engine(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint of the reference with tensors and plain values alone.

    Its message hub becomes a state, its configs dicts, its arrays lists and its dates texts. What
    cannot be read is left out, with a warning. Any other checkpoint is returned as it is.

    Args:
        checkpoint: The checkpoint; it is not changed.
    """
    meta = checkpoint.get("meta")
    known = isinstance(meta, Mapping) and "mmengine_version" in meta
    if not is_foreign(checkpoint) or not (known or "message_hub" in checkpoint):
        return checkpoint
    result = readable(checkpoint)
    if isinstance(meta, Mapping):
        result["meta"] = _without_placeholders(meta, "meta.")
    weights = {"state_dict": result.pop("state_dict")} if "state_dict" in result else {}
    others = _without_placeholders(result, "")
    return {key: {**weights, **others}[key] for key in checkpoint if key in {**weights, **others}}


def to_mmengine(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint as the reference saves it, for its runner to resume.

    Each history of the message hub is a call of ``mmengine.logging.history_buffer.HistoryBuffer``
    with its values, their counts and its length: whoever loads the file imports that class. All
    else are tensors and plain values. The states that only this engine has are left out.

    Args:
        checkpoint: A checkpoint of this engine; it is not changed.
    """
    result = {key: value for key, value in checkpoint.items() if key not in _OWN}
    progress = checkpoint.get("progress", {})
    counters = {name: progress[name] for name in ("epoch", "iter") if name in progress}
    if "meta" in checkpoint:
        result["meta"] = {**checkpoint["meta"], **counters}
    if "message_hub" in checkpoint:
        hub = checkpoint["message_hub"]
        infos = {**hub["runtime_info"], **_kept(checkpoint)}
        result["message_hub"] = {
            "log_scalars": OrderedDict(
                (name, _history(state)) for name, state in hub["log_scalars"].items()
            ),
            "runtime_info": OrderedDict(infos),
            "resumed_keys": OrderedDict({**hub["resumed_keys"], **dict.fromkeys(infos, True)}),
        }
    if "param_schedulers" in checkpoint:
        result["param_schedulers"] = _schedules(checkpoint["param_schedulers"])
    return result


def _history(state: Mapping[str, Any]) -> CallByName:
    # Lists, since a file with arrays of NumPy 2 is not read by NumPy 1.
    values, counts = (plain_value(state[name]) for name in ("log_history", "count_history"))
    return CallByName(*_HISTORY, values, counts, int(state["max_length"]))


def _kept(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of the checkpoints that are kept, as the reference notes them."""
    hooks = checkpoint.get("hooks", {})
    state = hooks.get("checkpoint", {}) if isinstance(hooks, Mapping) else {}
    names = state.get("kept", {}).get("names", []) if isinstance(state, Mapping) else []
    found = [_NUMBER.search(name) for name in names]
    return {"keep_ckpt_ids": [int(match[1]) for match in found if match]} if names else {}


def _schedules(states: Any) -> Any:
    if isinstance(states, Mapping):
        return {name: _schedules(group) for name, group in states.items()}
    return [
        {**state, "milestones": Counter(state["milestones"])} if "milestones" in state else state
        for state in states
    ]


def _without_placeholders(entries: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the entries that can be read, as plain values; warn of the others."""
    lost = [key for key, value in entries.items() if has_placeholder((key, value))]
    if lost:
        names = ", ".join(f"{path}{key}" for key in lost)
        _log.warning("%s of the checkpoint cannot be read without its classes: left out", names)
    return {key: _plain(value) for key, value in entries.items() if key not in lost}


def _plain(value: Any) -> Any:
    """Return arrays as lists and dates as texts, within dicts, lists and tuples."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, Counter):
        return value
    if isinstance(value, Mapping):
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        return kind((_plain(key), _plain(item)) for key, item in value.items())
    if type(value) in (list, tuple, set):
        return type(value)(map(_plain, value))
    return value
