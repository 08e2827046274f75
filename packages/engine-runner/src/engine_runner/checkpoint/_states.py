"""The parts of a run as a checkpoint saves and restores them, each `Stateful`."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch.utils.data import DataLoader

from engine_model import gather_tensors, spread_optimizer_state
from engine_optim import resume_schedules
from engine_runner._errors import SettingsError
from engine_runner._loaders import length_of
from engine_runner._protocols import Run, Stateful
from engine_runner._wrappers import wrappers_by_name
from engine_runner.checkpoint._accumulation import AccumulationStates
from engine_runner.checkpoint._buffers import BufferStates
from engine_runner.checkpoint._complete import restart
from engine_runner.checkpoint._further_loaders import FurtherLoaders
from engine_runner.checkpoint._options import OptimizerOptions, scheduled_values, set_values
from engine_runner.checkpoint._records import RecordStates
from engine_runner.environment import capture_random_states, restore_random_states
from engine_runner.parts import Parts

_log = logging.getLogger("engine.runner")


class OptimizerStates:
    """The state of one optimizer wrapper, or of several; all ranks must save together.

    Args:
        optim_wrapper: An `engine_optim.OptimWrapper` or `engine_optim.OptimWrapperDict`.
        whole: Whether sharded states are gathered when they are saved.

    Attributes:
        keeps_values: Whether a loaded state leaves the scheduled values as they are, for schedules
            that start anew.

    Example:
        >>> import torch
        >>> from engine_optim import OptimWrapper
        >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.5)
        >>> OptimizerStates(OptimWrapper(optimizer)).state_dict()["param_groups"][0]["lr"]
        0.5
    """

    def __init__(self, optim_wrapper: Any, *, whole: bool = True) -> None:
        self._optim_wrapper = optim_wrapper
        self._whole = whole
        self.keeps_values = False

    def state_dict(self) -> Any:
        """Return the state, by default the whole one, gathered from the shards of all ranks."""
        state = self._optim_wrapper.state_dict()
        return gather_tensors(state) if self._whole else state

    def load_state_dict(self, state_dict: Any) -> None:
        """Take over a state, whole or sharded; each rank keeps what its shards need.

        Raises:
            SettingsError: The saved optimizer is of another kind.
            ValueError: The optimizer has other parameter groups than the saved one.
        """
        wrappers = wrappers_by_name(self._optim_wrapper)
        for name, wrapper in wrappers.items():
            _check_kind(wrapper.optimizer, state_dict.get(name, {}) if name else state_dict)
        kept = [scheduled_values(wrapper) for wrapper in wrappers.values() if self.keeps_values]
        try:
            self._optim_wrapper.load_state_dict(state_dict)
        except ValueError as error:
            error.add_note(
                "frozen parameters have no group, so a run cannot resume an optimizer after it "
                "froze others; load_from with resume=False takes the weights alone"
            )
            raise
        # torch takes over whole tensors as they are; sharded parameters need shards of them.
        for wrapper in wrappers.values():
            spread_optimizer_state(wrapper.optimizer)
        for wrapper, values in zip(wrappers.values(), kept, strict=False):
            set_values(wrapper, values)


class ScheduleStates:
    """The states of a list of schedules, or of a list for each optimizer.

    A restored schedule continues with its own settings; see `engine_optim.resume_schedules`.

    Args:
        schedules: The schedules of the run.
        run: The run, whose counters place a schedule that counted others in the saved run.

    Attributes:
        restarted: Whether the optimizers are new ones, whose values are to follow the schedules.

    Example:
        >>> ScheduleStates({"generator": [], "critic": []}).state_dict()
        {'generator': [], 'critic': []}
    """

    def __init__(self, schedules: Any, run: Run | None = None) -> None:
        self._schedules = schedules
        self._run = run
        self.restarted = False

    def state_dict(self) -> Any:
        """Return the states in the structure of the schedules."""
        return _schedule_states(self._schedules)

    def load_state_dict(self, state_dict: Any) -> None:
        """Give each schedule its state back; a run without schedules ignores them.

        Raises:
            SettingsError: The run has other schedules than the checkpoint.
        """
        if not self._schedules:
            return
        run = self._run
        if run is not None and not state_dict and run.progress.iter == 0:
            return  # saved before the training, when the schedules were not built yet
        if run is None:
            self._load(state_dict, {}, 0)
            return
        counts = {True: run.progress.epoch, False: run.progress.iter}
        # The loop has the length that is declared for data without one.
        declared = getattr(run.train_loop, "epoch_length", None)
        length = length_of(run.train_dataloader) or declared or 0
        self._load(state_dict, counts, length)

    def _load(self, states: Any, counts: Mapping[bool, int], epoch_length: int) -> None:
        resume = partial(
            resume_schedules, counts=counts, epoch_length=epoch_length, restarted=self.restarted
        )
        _load_schedules(self._schedules, states, resume)


class LoaderPosition:
    """The position of a data loader that has one.

    Args:
        dataloader: The training data.

    Example:
        >>> LoaderPosition([1, 2, 3]).state_dict() is None
        True
    """

    def __init__(self, dataloader: Any) -> None:
        self._dataloader = dataloader

    def state_dict(self) -> dict[str, Any] | None:
        """Return the position, or None for a loader without ``state_dict``."""
        stateful = hasattr(self._dataloader, "state_dict")
        return self._dataloader.state_dict() if stateful else None

    def load_state_dict(self, state_dict: Mapping[str, Any] | None) -> None:
        """Continue at the position that the checkpoint has, if it has one."""
        if not state_dict or not hasattr(self._dataloader, "load_state_dict"):
            return
        if isinstance(self._dataloader, DataLoader) and "begin" in state_dict:
            _log.warning(
                "the checkpoint has the position of another kind of data loader; the pass begins "
                "again at its first batch"
            )
            return
        self._dataloader.load_state_dict(state_dict)


class RandomStates:
    """The random number generators of all ranks; all ranks must save together.

    Example:
        >>> import random
        >>> saved = RandomStates().state_dict()
        >>> first = random.random()
        >>> RandomStates().load_state_dict(saved)
        >>> random.random() == first
        True
    """

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the generators' states in rank order."""
        return capture_random_states()

    def load_state_dict(self, state_dict: list[dict[str, Any]]) -> None:
        """Set the generators of this rank back."""
        restore_random_states(state_dict)


def run_states(
    run: Run,
    parts: Parts,
    hooks: Stateful,
    include: Mapping[str, bool],
    *,
    saving: bool,
    whole: bool = True,
) -> dict[str, Stateful]:
    """Return the states of a run by their keys in a checkpoint, in the order of restoring.

    A run without training has none but its message hub to restore.

    Args:
        run: The run.
        parts: The parts of the run.
        hooks: The hooks of the run.
        include: Whether ``"optimizer"`` and ``"param_schedulers"`` are included.
        saving: Whether the states are saved, which builds nothing.
        whole: Whether sharded states are gathered when they are saved.
    """
    trains = parts.configured("train_cfg")
    states: dict[str, Stateful] = {"message_hub": run.message_hub}
    anew = run.checkpointer.restarts
    if include["optimizer"] and (parts.built("optim_wrapper") if saving else trains):
        optimizers = states["optimizer"] = OptimizerStates(run.optim_wrapper, whole=whole)
        optimizers.keeps_values = not include["param_schedulers"] or "param_schedulers" in anew
        states["optimizer_options"] = OptimizerOptions(run.optim_wrapper)
        states["accumulation"] = AccumulationStates(run.optim_wrapper, run.model, whole=whole)
    if include["param_schedulers"] and (saving or trains):
        schedules = ScheduleStates(run.param_schedulers, run if trains else None)
        schedules.restarted = not include["optimizer"] or "optimizer" in anew
        states["param_schedulers"] = schedules
    if trains and run.world_size > 1:
        states["buffers"] = BufferStates(run.model, whole=whole)
    if trains:
        data = run.train_dataloader  # builds the loop
        states["dataloader"] = LoaderPosition(getattr(parts.built("train_cfg"), "position", data))
        further = FurtherLoaders(parts.built("train_cfg"))
        if further.loaders:
            states["further_loaders"] = further
        states["hooks"] = hooks
        states["records"] = RecordStates(run)
    if saving or trains:  # last, as building the parts above draws random numbers
        states["random"] = RandomStates()
    return states


def _check_kind(optimizer: Any, state: Mapping[str, Any]) -> None:
    """Raise for the state of another kind of optimizer, which torch takes over and then fails."""
    for own, saved in zip(optimizer.param_groups, state.get("param_groups", []), strict=False):
        # A newer torch adds options, and a schedule adds initial ones; another kind differs both
        # ways.
        lacks = optimizer.defaults.keys() - saved.keys()
        foreign = {key for key in saved.keys() - own.keys() if not key.startswith("initial_")}
        if lacks and foreign:
            raise SettingsError(
                f"the optimizer must be of the kind that was saved, got "
                f"{type(optimizer).__name__}; the saved one has {', '.join(sorted(foreign))} and "
                f"lacks {', '.join(sorted(lacks))}; {restart('optimizer')}"
            )


def _schedule_states(schedules: Any) -> Any:
    if isinstance(schedules, Mapping):
        return {name: _schedule_states(group) for name, group in schedules.items()}
    return [schedule.state_dict() for schedule in schedules or ()]


def _load_schedules(schedules: Any, states: Any, resume: Callable[[Any, Any], None]) -> None:
    if isinstance(schedules, Mapping):
        if not isinstance(states, Mapping) or states.keys() != schedules.keys():
            raise SettingsError(
                f"the checkpoint has schedules for {_names(states)}, the run for "
                f"{_names(schedules)}; {restart('param_schedulers')}"
            )
        for name, group in schedules.items():
            _load_schedules(group, states[name], resume)
        return
    if len(states) != len(schedules):
        raise SettingsError(
            f"the checkpoint has {len(states)} parameter schedulers, the run has "
            f"{len(schedules)}; {restart('param_schedulers')}"
        )
    resume(schedules, states)


def _names(entries: Any) -> str:
    return ", ".join(sorted(entries)) if isinstance(entries, Mapping) else "one optimizer"
