"""Resume from a checkpoint of another library that has the documented layout."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from engine_runner._loaders import is_endless, length_of, set_sampler_epoch
from engine_runner._protocols import Run, Stateful
from engine_runner.checkpoint._foreign_ema import ema_state
from engine_runner.checkpoint._foreign_fit import fit_optimizers, fit_schedules, without_states
from engine_runner.checkpoint._foreign_hub import hub_state

_log = logging.getLogger("engine.runner")


def is_foreign(checkpoint: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint was not saved by this engine.

    Args:
        checkpoint: The checkpoint that `Checkpointer.read` returned.
    """
    return "progress" not in checkpoint


def readable(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a foreign checkpoint with a message hub and averages as this engine has them.

    What cannot be read is dropped, with a warning.

    Args:
        checkpoint: The checkpoint; it is not changed.
    """
    result = dict(checkpoint)
    for name, value in (
        ("message_hub", hub_state(checkpoint.get("message_hub"))),
        ("ema_state_dict", ema_state(checkpoint)),
    ):
        result.pop(name, None)
        if value is not None:
            result[name] = value
    return result


def take_over(
    checkpoint: Mapping[str, Any], states: Mapping[str, Stateful], run: Run
) -> tuple[dict[str, Any], dict[str, Stateful]]:
    """Return a foreign checkpoint and the parts of a run so that the run continues from it.

    A state that does not fit its part is skipped with a warning. Such a file has no position in the
    data, and does not say whether its last epoch was validated: the run continues behind the
    batches that its counters count, and with the next validation.

    Args:
        checkpoint: The checkpoint; it is not changed.
        states: The parts by their keys.
        run: The run, whose counters are those of the checkpoint.
    """
    result = readable(checkpoint)
    averages = any(hasattr(hook, "_swap_ema_state_dict") for hook in run.hooks)
    if "ema_state_dict" in result and not averages:
        _log.warning(
            "the training continues from the averages of the weights, which the checkpoint has as "
            "its state_dict, and with the optimizer of the weights as trained; add EMAHook to "
            "custom_hooks to continue from those, and their average"
        )
    progress = run.progress
    progress.validated = progress.epoch if run.trains_by_epoch else progress.iter
    parts = {name: Tolerant(name, state) for name, state in states.items()}
    optimizer, schedules = parts.get("optimizer"), parts.get("param_schedulers")
    if optimizer is not None:
        wrapper = run.optim_wrapper
        optimizer.fit = lambda saved: fit_optimizers(wrapper, saved)
    if schedules is not None:
        schedules.instead = without_states(schedules.state_dict())
        schedules.fit = partial(_fit_schedules, schedules.state, optimizer)
    if "dataloader" in states:
        result["dataloader"] = _position(states["dataloader"], run)
    return result, {**parts}


def _fit_schedules(state: Any, optimizer: "Tolerant | None", saved: Any) -> Any:
    # Schedules compute each value from the last one, which the state of the optimizer has.
    if optimizer is not None and optimizer.failed:
        state.restarted = True
    return fit_schedules(state.state_dict(), saved)


def _position(loader: Stateful, run: Run) -> Any:
    """Return the state of a data loader behind the batches that a run has counted."""
    batches, state = _batches(run), loader.state_dict()
    if not batches or not isinstance(state, Mapping) or "batches" not in state:
        return None
    if "read" in state:  # of data that is read again, whose order is that of a new run
        return {"batches": batches}
    # Of a sampler without epochs it is None.
    epoch = run.progress.epoch if state.get("epoch") is not None else None
    return {**state, "batches": batches, "epoch": epoch}


def _batches(run: Run) -> int:
    """Return the batches of the current pass that a run has counted, and count the passes."""
    progress, dataloader = run.progress, run.train_dataloader
    length = None if is_endless(dataloader) else length_of(dataloader)
    if run.trains_by_epoch:
        batches = progress.iter - progress.epoch * (length or 0)
        # Otherwise it counts epochs of another length.
        return batches if 0 < batches < (length or 0) else 0
    if length is None:
        return progress.iter
    # In a file of the other library, a training by iterations is one epoch.
    progress.epoch, batches = divmod(progress.iter, length)
    set_sampler_epoch(dataloader, progress.epoch)
    return batches


class Tolerant:
    """Load a state if it fits, and log a warning if it does not.

    Args:
        name: The key of the state in the checkpoint.
        state: The part of the run.

    Attributes:
        fit: Changes a state to that of the part, or raises if it is of another part.
        instead: The state to load in place of one that does not fit, or None.
        failed: Whether a state did not fit.

    Example:
        >>> import torch
        >>> Tolerant("optimizer", torch.optim.SGD(torch.nn.Linear(1, 1).parameters())).failed
        False
    """

    def __init__(self, name: str, state: Stateful) -> None:
        self.name = name
        self.state = state
        self.fit: Callable[[Any], Any] | None = None
        self.instead: Any = None
        self.failed = False

    def state_dict(self) -> Any:
        """Return the state of the part."""
        return self.state.state_dict()

    def load_state_dict(self, state_dict: Any) -> None:
        """Load the state, or log why it does not fit."""
        try:
            self.state.load_state_dict(state_dict if self.fit is None else self.fit(state_dict))
        except Exception as error:  # a file of another library may hold anything
            self.failed = True
            _log.warning(
                "%s of the checkpoint, which another library saved, does not fit this run and is "
                "not restored: %s: %s",
                self.name,
                type(error).__name__,
                error,
            )
            if self.instead is not None:
                _log.warning("%s continue by the counters of the run", self.name)
                self.state.load_state_dict(self.instead)
