"""Save what a validation has changed since its checkpoint, for a resume that does not repeat it."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from engine_dist import all_gather_object, is_main_process
from engine_fileio import exists, remove
from engine_model.weights import CheckpointError, CheckpointLoader, save_checkpoint
from engine_runner._protocols import Run, Stateful
from engine_runner._wrappers import wrappers_by_name
from engine_runner.checkpoint._options import scheduled_values

_log = logging.getLogger("engine.runner")

_SUFFIX = ".validated"
_CHANGED = ("message_hub", "param_schedulers", "hooks", "records", "random")
_VALUES = "scheduled_values"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Saved:
    """A checkpoint that was saved before the validation of its epoch or iteration."""

    path: str
    states: Mapping[str, Stateful]
    facts: tuple[Any, ...]
    backend_args: dict[str, Any] | None


class Validated:
    """Note after a validation what it has changed, beside the checkpoints that were saved before.

    A checkpoint is saved before the validation of its epoch. The small file beside it has the
    states that the validation has changed: the best score, the metrics in the message hub, rates
    that follow a metric, random generators. A run that is resumed from the checkpoint takes them
    over, and does not validate again.

    Example:
        >>> from types import SimpleNamespace
        >>> from engine_runner import Progress
        >>> validated = Validated()
        >>> validated.note(SimpleNamespace(progress=Progress(iter=4)))  # nothing was saved
    """

    def __init__(self) -> None:
        self._saved: list[_Saved] = []
        self._counted = (-1, -1)

    def saved(
        self,
        checkpoint: Mapping[str, Any],
        path: str,
        states: Mapping[str, Stateful],
        backend_args: Mapping[str, Any] | None,
    ) -> None:
        """Note that a checkpoint is saved.

        Args:
            checkpoint: The checkpoint.
            path: Its path or URI.
            states: The parts of the run by their keys.
            backend_args: Arguments of the storage backend.
        """
        counted = checkpoint["progress"]["epoch"], checkpoint["progress"]["iter"]
        if counted != self._counted:
            self._saved, self._counted = [], counted
        given = dict(backend_args) if backend_args else None
        one = _Saved(path=path, states=states, facts=_facts(checkpoint), backend_args=given)
        self._saved.append(one)

    def note(self, run: Run) -> None:
        """Write what a finished validation has changed; all ranks must call this.

        Args:
            run: The run, whose counters have the validation.
        """
        saved, self._saved = self._saved, []
        if not saved or self._counted != (run.progress.epoch, run.progress.iter):
            return
        for one in saved:
            if one.facts[-1] >= run.progress.validated:  # saved after it, as the best one
                continue
            states = {name: one.states[name] for name in _CHANGED if name in one.states}
            note = {name: state.state_dict() for name, state in states.items()}
            if "optimizer" in one.states:
                wrappers = wrappers_by_name(run.optim_wrapper)
                note[_VALUES] = {name: scheduled_values(item) for name, item in wrappers.items()}
            note |= {"progress": run.progress.state_dict(), "of": list(one.facts)}
            if is_main_process():
                _write(note, one)


def with_validation(
    checkpoint: Mapping[str, Any], path: str | None, backend_args: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """Return a checkpoint with what a later validation has changed; all ranks must call this.

    Args:
        checkpoint: The checkpoint; it is not changed.
        path: Its path or URI.
        backend_args: Arguments of the storage backend.
    """
    note = None if path is None else _read(checkpoint, path, backend_args)
    # Storages may show the ranks different files, and all ranks validate or none.
    if not all(all_gather_object(note is not None)) or note is None:
        return checkpoint
    changed = {name: note[name] for name in ("progress", *_CHANGED) if name in note}
    result = {**checkpoint, **changed}
    values = note.get(_VALUES, {})
    if "optimizer" in result and values:
        state = result["optimizer"]
        result["optimizer"] = (
            _with_values(state, values[""])
            if "" in values
            else {name: _with_values(one, values.get(name, [])) for name, one in state.items()}
        )
    return result


def remove_validation(path: str, backend_args: Mapping[str, Any] | None) -> None:
    """Delete what is noted of the validation of a checkpoint.

    Args:
        path: The path or URI of the checkpoint.
        backend_args: Arguments of the storage backend.

    Raises:
        OSError: The storage cannot be written to.
    """
    with suppress(FileNotFoundError):
        remove(f"{path}{_SUFFIX}", backend_args=dict(backend_args) if backend_args else None)


def _facts(checkpoint: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what distinguishes a checkpoint from another one at its path."""
    meta, progress = checkpoint.get("meta", {}), checkpoint.get("progress", {})
    named = (meta.get("experiment_name"), meta.get("time"))
    return (*named, progress.get("iter"), progress.get("validated", -1))


def _write(note: dict[str, Any], saved: _Saved) -> None:
    try:
        save_checkpoint(note, f"{saved.path}{_SUFFIX}", backend_args=saved.backend_args)
    except OSError as error:
        _log.warning(
            "the validation was not noted beside %s: %s; a resume from there repeats it",
            saved.path,
            error,
        )


def _read(
    checkpoint: Mapping[str, Any], path: str, backend_args: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return the note of a checkpoint, or None if there is none that is readable and its own."""
    place = f"{path}{_SUFFIX}"
    try:
        if not exists(place, backend_args=dict(backend_args) if backend_args else None):
            return None
        note = CheckpointLoader.load_checkpoint(place, "cpu", "silent", backend_args=backend_args)
    except (CheckpointError, OSError, ValueError) as error:
        _log.warning("%s is not read: %s; the validation is repeated", place, error)
        return None
    own = isinstance(note, dict) and note.get("of") == list(_facts(checkpoint))
    return note if own else None


def _with_values(state: Mapping[str, Any], values: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the state of an optimizer with other scheduled values."""
    groups = list(state.get("param_groups", []))
    base = state.get("base_param_settings")
    places = [*groups, *([] if base is None else [base])]
    if len(places) != len(values):
        return dict(state)
    changed = [{**group, **own} for group, own in zip(places, values, strict=True)]
    result = {**state, "param_groups": changed[: len(groups)]}
    return result if base is None else {**result, "base_param_settings": changed[-1]}
