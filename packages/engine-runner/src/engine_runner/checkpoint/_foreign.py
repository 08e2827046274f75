"""Resume from a checkpoint of another library that has the documented layout."""

import logging
from collections.abc import Mapping
from typing import Any

from engine_model import ForeignObject
from engine_runner._protocols import Stateful

_log = logging.getLogger("engine.runner")

_VALUES = 1_000_000  # the length of a history whose file does not state one


def is_foreign(checkpoint: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint was not saved by this engine.

    Args:
        checkpoint: The checkpoint that `Checkpointer.read` returned.
    """
    return "progress" not in checkpoint


def readable(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a foreign checkpoint with a message hub of plain values.

    Its histories may be pickled objects, which are read as inert placeholders. Entries that cannot
    be read are dropped, with one warning.

    Args:
        checkpoint: The checkpoint; it is not changed.
    """
    result = dict(checkpoint)
    hub = result.pop("message_hub", None)
    if not isinstance(hub, Mapping):
        if hub is not None:
            _log.warning("The message hub of the checkpoint is a %r; it is skipped.", hub)
        return result
    scalars = {name: _history(value) for name, value in _mapping(hub, "log_scalars").items()}
    infos = _mapping(hub, "runtime_info")
    dropped = [name for name, value in scalars.items() if value is None]
    dropped += [name for name, value in infos.items() if _has_placeholder(value)]
    if dropped:
        _log.warning(
            "The checkpoint has %s in its message hub in an unknown form; skipped.",
            ", ".join(map(str, dropped)),
        )
    result["message_hub"] = {
        "log_scalars": {name: value for name, value in scalars.items() if value is not None},
        "runtime_info": {name: value for name, value in infos.items() if name not in dropped},
        "resumed_keys": _mapping(hub, "resumed_keys"),
    }
    return result


def _mapping(hub: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = hub.get(name)
    return value if isinstance(value, Mapping) else {}


def _history(value: object) -> Any:
    """Return the state of a history, or None if it cannot be read."""
    if isinstance(value, Mapping):
        return None if _has_placeholder(value) else value
    state = value.state if isinstance(value, ForeignObject) else None
    if not isinstance(state, Mapping):
        return None
    # Public or private attributes, depending on the version.
    found = {str(name).lstrip("_"): item for name, item in state.items()}
    values, counts = found.get("log_history"), found.get("count_history")
    if values is None or _has_placeholder((values, counts)):
        return None
    length = found.get("max_length", _VALUES)
    return {"log_history": values, "count_history": counts, "max_length": length}


def _has_placeholder(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_has_placeholder(item) for item in value.values())
    if isinstance(value, list | tuple | set):
        return any(_has_placeholder(item) for item in value)
    return isinstance(value, ForeignObject)


class Tolerant:
    """Load a state if it fits, and log a warning if it does not.

    Args:
        name: The key of the state in the checkpoint.
        state: The part of the run.

    Example:
        >>> import torch
        >>> Tolerant("optimizer", torch.optim.SGD(torch.nn.Linear(1, 1).parameters())).name
        'optimizer'
    """

    def __init__(self, name: str, state: Stateful) -> None:
        self.name = name
        self.state = state

    def state_dict(self) -> Any:
        """Return the state of the part."""
        return self.state.state_dict()

    def load_state_dict(self, state_dict: Any) -> None:
        """Load the state, or log why it does not fit."""
        try:
            self.state.load_state_dict(state_dict)
        except Exception as error:  # a file of another library may hold anything
            _log.warning(
                "%s of the checkpoint, which another library saved, does not fit this run and is "
                "not restored: %s: %s",
                self.name,
                type(error).__name__,
                error,
            )


def foreign_states(states: Mapping[str, Stateful]) -> dict[str, Stateful]:
    """Return the parts of a run so that a state that does not fit is skipped with a warning.

    Args:
        states: The parts by their keys.
    """
    return {name: Tolerant(name, state) for name, state in states.items()}
