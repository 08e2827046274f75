"""Read the message hub of another library: what is known of its objects, as plain values."""

import logging
from collections.abc import Mapping
from typing import Any

from engine_logging import HistoryBuffer
from engine_model import ForeignObject

_log = logging.getLogger("engine.runner")

_VALUES = 1_000_000  # the length of a history whose file does not state one
_OF_A_RUN = frozenset({"cfg", "dataset_meta", "experiment_name", "seed"})  # each run sets its own
_PARTS = ("log_scalars", "runtime_info", "resumed_keys")


def hub_state(hub: object) -> dict[str, Any] | None:
    """Return the state of a message hub, without the entries that cannot be read.

    The hub may be its state, or a pickled hub; its histories may be states or pickled buffers.
    What is dropped is logged in one warning.

    Args:
        hub: The entry of the checkpoint; it is not changed.

    Returns:
        The state as `engine_logging.MessageHub` loads it, or None if ``hub`` is not a hub.
    """
    parts = _parts(hub)
    if parts is None:
        if hub is not None:
            kind = hub.class_name if isinstance(hub, ForeignObject) else type(hub).__name__
            _log.warning("The message hub of the checkpoint is a %s; it is skipped.", kind)
        return None
    scalars = {str(name): _history(value) for name, value in parts["log_scalars"].items()}
    infos = {str(k): v for k, v in parts["runtime_info"].items() if k not in _OF_A_RUN}
    dropped = [name for name, value in scalars.items() if value is None]
    dropped += [name for name, value in infos.items() if has_placeholder(value)]
    if dropped:
        _log.warning(
            "The checkpoint has %s in its message hub in an unknown form; skipped.",
            ", ".join(dropped),
        )
    return {
        "log_scalars": {name: value for name, value in scalars.items() if value is not None},
        "runtime_info": {name: value for name, value in infos.items() if name not in dropped},
        "resumed_keys": {str(k): v is not False for k, v in parts["resumed_keys"].items()},
    }


def has_placeholder(value: object) -> bool:
    """Return whether a value has an object of another class, at any depth."""
    if isinstance(value, Mapping):
        return any(has_placeholder(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return any(has_placeholder(item) for item in value)
    return isinstance(value, ForeignObject)


def _parts(hub: object) -> dict[str, Mapping[Any, Any]] | None:
    """Return the three parts of a hub, or None if it is not a hub."""
    state = hub.state if isinstance(hub, ForeignObject) else hub
    if not isinstance(state, Mapping):
        return None
    # The attributes of a pickled hub begin with an underscore.
    found = {name: state.get(name, state.get(f"_{name}")) for name in _PARTS}
    if all(value is None for value in found.values()):
        return None
    return {name: value if isinstance(value, Mapping) else {} for name, value in found.items()}


def _history(value: object) -> dict[str, Any] | None:
    """Return the state of a history, or None if it cannot be read."""
    state: Any = value
    if isinstance(value, HistoryBuffer):  # of a file whose code was run
        state = value.__getstate__()
    elif isinstance(value, ForeignObject):
        names = ("log_history", "count_history", "max_length")
        # Its attributes, or the arguments of its constructor.
        given = value.args if len(value.args) > 1 else ()
        state = value.state or dict(zip(names, given, strict=False))
    if not isinstance(state, Mapping):
        return None
    # Public or private attributes, depending on the version.
    found = {str(name).lstrip("_"): item for name, item in state.items()}
    values, counts = found.get("log_history"), found.get("count_history")
    length = found.get("max_length", _VALUES)
    if values is None or counts is None or has_placeholder((values, counts, length)):
        return None
    try:
        HistoryBuffer(values, counts, length)
    except (TypeError, ValueError):  # values that are not numbers, or more of them than counts
        return None
    return {"log_history": values, "count_history": counts, "max_length": length}
