"""Check that a run can be resumed from a checkpoint, and restore its counters."""

from collections.abc import Container, Mapping
from typing import Any

from engine_model.weights import CheckpointError
from engine_runner._errors import SettingsError
from engine_runner._progress import Progress
from engine_runner._protocols import Run
from engine_runner.checkpoint._manifest import is_outdated, read_manifest

# By the key in a checkpoint: what it is, the argument of Runner.resume, the option of the command.
_STATES = {
    "optimizer": ("the optimizer", "resume_optimizer", "--restart-optimizer"),
    "param_schedulers": ("the schedules", "resume_param_scheduler", "--restart-schedules"),
}
RESUMED = frozenset(_STATES)
_WEIGHTS_ALONE = "so training cannot be resumed from it; load its weights alone with resume=False"
_NO_OPTIMIZER = "it has no state of the optimizer, which save_optimizer=False leaves out"


def require_weights(checkpoint: object, filename: str) -> None:
    """Raise if a checkpoint is not a dict, before a hook reads it.

    Raises:
        CheckpointError: It is not.
    """
    if not isinstance(checkpoint, Mapping):
        raise CheckpointError(
            f"{filename} must have a dict of weights, or one with the key 'state_dict' or 'model', "
            f"got {type(checkpoint).__name__}; choose a file that has weights"
        )


def load_progress(checkpoint: Mapping[str, Any], progress: Progress) -> None:
    """Set the counters to those of a checkpoint, of this engine or of another.

    Raises:
        SettingsError: The checkpoint has weights alone, or a counter that is not one.
    """
    found = checkpoint.get("progress") or checkpoint.get("meta")
    state = found if isinstance(found, Mapping) else {}
    counts = {name: state.get(name) for name in ("epoch", "iter")}
    if set(counts.values()) <= {None}:
        raise SettingsError(f"the checkpoint has no epoch and iteration, {_WEIGHTS_ALONE}")
    for name, count in counts.items():
        if not isinstance(count, int) or count < 0:
            raise SettingsError(
                f"{name} of the checkpoint must be an integer >= 0, got {count!r:.80}, "
                f"{_WEIGHTS_ALONE}"
            )
    progress.load_state_dict(state)


def check_complete(checkpoint: Mapping[str, Any], states: Container[str], run: Run) -> None:
    """Raise if the checkpoint lacks a state that the run would restart without it.

    Args:
        checkpoint: The checkpoint.
        states: The names of the states to restore.
        run: The run, whose counters are those of the checkpoint.

    Raises:
        SettingsError: The state of the optimizer or of the schedules is missing.
    """
    if run.iter == 0:  # saved before the training, whose optimizer has no state yet
        return
    for name, (part, _, _) in _STATES.items():
        needed = name in states and (run.param_schedulers or name != "param_schedulers")
        if needed and name not in checkpoint:
            raise SettingsError(
                f"the checkpoint has no state of {part}, which would restart at iteration "
                f"{run.iter}; to train anew from its weights, use load_from with "
                f"resume=False; {restart(name)}"
            )


def check_manifest(
    filename: str, needed: Container[str], backend_args: Mapping[str, Any] | None = None
) -> None:
    """Raise if a checkpoint's manifest says that it cannot be resumed, before it is read.

    Args:
        filename: A path or URI. One without a manifest passes.
        needed: The names of the states to restore.
        backend_args: Arguments of the storage backend.

    Raises:
        SettingsError: The checkpoint has no counters, or not the state of the optimizer.
    """
    lack = lack_by_manifest(filename, needed, backend_args)
    if lack is None:
        return
    way_out = "to train anew from its weights, use load_from with resume=False"
    if lack == _NO_OPTIMIZER:
        way_out = f"{way_out}; {restart('optimizer')}"
    raise SettingsError(f"{filename} cannot be resumed: {lack}; {way_out}")


def lack_by_manifest(
    filename: str, needed: Container[str], backend_args: Mapping[str, Any] | None = None
) -> str | None:
    """Return what a checkpoint lacks to be resumed, by its manifest; None if it has all.

    Args:
        filename: A path or URI. One without a manifest lacks nothing.
        needed: The names of the states to restore.
        backend_args: Arguments of the storage backend.
    """
    manifest = read_manifest(filename, backend_args)
    if manifest is None or manifest.resumable or is_outdated(filename, manifest):
        return None
    if not manifest.keys or manifest.iter is None:
        return "its manifest says that it has weights alone, as a published copy"
    return _NO_OPTIMIZER if "optimizer" in needed else None


def restart(name: str) -> str:
    """Return how to resume a run without one of its states, as a sentence."""
    part, argument, option = _STATES[name]
    return (
        f"to resume and restart {part}, pass {argument}=False to Runner.resume, or use "
        f"engine train --resume CHECKPOINT {option}"
    )
