"""Resume schedules whose settings may have changed since their states were saved.

A schedule computes each value from the one before. So a value under new settings is that of the
same steps, taken again from the start.
"""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

from engine_optim.schedulers._base import Value, _ParamScheduler

logger = logging.getLogger("engine.optim")

State: TypeAlias = Mapping[str, Any]


def resume_schedules(
    schedules: Sequence[Any],
    states: Sequence[State],
    *,
    counts: Mapping[bool, int] | None = None,
    epoch_length: int = 0,
    restarted: bool = False,
) -> None:
    """Continue the schedules of one optimizer where the saved run ended, with their own settings.

    The settings of a schedule, and what it derives from the length of the run, are those that it
    was built with. The steps that it has taken are those of its state. If settings or initial
    values differ from the state, each value becomes that of a run which had the new ones from its
    start, and the difference is logged. Otherwise the state is restored as it is. A value that
    something other than the schedules has set is kept.

    Call it when the optimizer has its state again.

    Args:
        schedules: The schedules in their order; those that are not of this package take over
            their whole state.
        states: The state of each.
        counts: The finished epochs (key ``True``) and iterations (``False``), for a schedule that
            counted the other ones in the saved run.
        epoch_length: Iterations per epoch, to take the steps of both kinds in their order.
        restarted: Whether the optimizer is a new one, without its state. Its values then become
            those of the steps that the schedules have taken.

    Example:
        >>> from torch import nn, optim
        >>> from engine_optim import StepLR
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> short = StepLR(optimizer, step_size=2, gamma=0.1, end=2)
        >>> for _ in range(2):
        ...     optimizer.step()
        ...     short.step()
        >>> long = StepLR(optimizer, step_size=2, gamma=0.1, end=9)
        >>> resume_schedules([long], [short.state_dict()])
        >>> optimizer.param_groups[0]["lr"]
        0.1
    """
    pairs = list(zip(schedules, states, strict=True))
    ours = [pair for pair in pairs if isinstance(pair[0], _ParamScheduler)]
    changed = {
        schedule.param_name
        for index, (schedule, state) in enumerate(pairs)
        if isinstance(schedule, _ParamScheduler) and (_differs(index, schedule, state) or restarted)
    }
    for schedule, state in pairs:
        if not isinstance(schedule, _ParamScheduler) or schedule.param_name not in changed:
            schedule.load_state_dict(dict(state))
    for name in sorted(changed):
        together = [pair for pair in ours if pair[0].param_name == name]
        _resume_together(together, counts or {}, epoch_length, restarted=restarted)


def _differs(index: int, schedule: _ParamScheduler, state: State) -> bool:
    """Return whether the settings of a schedule differ from its state, and log which ones."""
    label = f"Schedule {index} ({type(schedule).__name__})"
    now, before = _settings(schedule), state.get("base_values", [])
    if now.keys() - state.keys() or state.keys() - schedule.state_dict().keys():
        logger.warning("%s takes the place of another one in the checkpoint.", label)
        return True
    changes = {
        key: (value, state[key])
        for key, value in now.items()
        if key != "verbose" and not _same(value, state[key])
    }
    if len(before) != len(schedule.base_values):
        changes["groups"] = (len(schedule.base_values), len(before))
    elif not _same(schedule.base_values, before):
        initial = f"initial {schedule.param_name}"
        changes[initial] = (_shown(schedule.base_values), _shown(before))
    for key, (present, former) in changes.items():
        logger.warning(
            "%s continues with %s=%s of this run; the checkpoint has %s.",
            label,
            key,
            present,
            former,
        )
    return bool(changes)


def _resume_together(
    pairs: list[tuple[_ParamScheduler, State]],
    counts: Mapping[bool, int],
    epoch_length: int,
    *,
    restarted: bool,
) -> None:
    """Set the schedules of one parameter, and the values of the groups that they agree on."""
    schedules = [schedule for schedule, _ in pairs]
    states = [state for _, state in pairs]
    steps = [_steps(schedule, state, counts) for schedule, state in pairs]
    new = [_restarted(s, {**state, **_settings(s)}, s.base_values) for s, state in pairs]
    values = _take(new, steps, epoch_length)
    current = schedules[0]._current()
    kept = not restarted and _set_otherwise(schedules, states, current, epoch_length)
    for schedule, repeated, state in zip(schedules, new, states, strict=True):
        lived = {key: state[key] for key in schedule.lived_names() & state.keys()}
        own = {**repeated.state_dict(), **lived, "verbose": schedule.verbose}
        schedule.__dict__.update(own)
        schedule._set_initial(schedule.base_values)
    schedules[0]._assign(current if kept else values)
    for schedule in schedules:
        schedule._last_value = schedule._current()


def _steps(schedule: _ParamScheduler, state: State, counts: Mapping[bool, int]) -> int:
    """Return the steps that a schedule has taken since it was built."""
    same_unit = state.get("by_epoch", schedule.by_epoch) == schedule.by_epoch
    if same_unit and "_global_step" in state:
        return int(state["_global_step"])
    return counts.get(schedule.by_epoch, 0)


def _set_otherwise(
    schedules: list[_ParamScheduler], states: list[State], current: list[Value], epoch_length: int
) -> bool:
    """Return whether something other than the schedules has set the values, and log that."""
    pairs = list(zip(schedules, states, strict=True))
    if any(state.keys() != schedule.state_dict().keys() for schedule, state in pairs):
        return False  # a schedule of another class, whose steps cannot be taken again
    if any(len(state["base_values"]) != len(current) for state in states):
        return False  # of other groups
    old = [_restarted(schedule, state, state["base_values"]) for schedule, state in pairs]
    before = _take(old, [int(state["_global_step"]) for state in states], epoch_length)
    if len(before) != len(current) or _same(before, current, tolerance=1e-4):
        return False
    logger.warning(
        "The %s of the checkpoint is %s, but its schedules give %s: something else has set it. It "
        "stays, and the schedules continue from it.",
        schedules[0].param_name,
        _shown(current),
        _shown(before),
    )
    return True


def _settings(schedule: _ParamScheduler) -> dict[str, Any]:
    now = schedule.state_dict()
    return {key: now[key] for key in schedule.settings_names() & now.keys()}


def _restarted(
    schedule: _ParamScheduler, state: State, initial: Sequence[Value]
) -> _ParamScheduler:
    """Return a copy of a schedule before its first step, with groups of its own."""
    copy: _ParamScheduler = object.__new__(type(schedule))
    copy.__dict__.update(schedule.__dict__ | dict(state))
    copy.__dict__.update(last_step=-1, _global_step=-1, base_values=list(initial), verbose=False)
    return copy


def _take(schedules: list[_ParamScheduler], steps: list[int], epoch_length: int) -> list[Value]:
    """Take steps with copies of schedules, in the order of a training; return the last values."""
    name = schedules[0].param_name
    groups = [{name: float(value)} for value in schedules[0].base_values]
    optimizer = SimpleNamespace(param_groups=groups, defaults={})
    for schedule in schedules:
        schedule.optimizer = optimizer
        schedule.repeat_step()
    counted = list(zip(schedules, steps, strict=True))
    by_iter = [pair for pair in counted if not pair[0].by_epoch]
    by_epoch = [pair for pair in counted if pair[0].by_epoch]
    epoch = 0
    for iteration in range(1, max((count for _, count in by_iter), default=0) + 1):
        _step(by_iter, iteration)
        if epoch_length and iteration % epoch_length == 0:
            epoch += 1
            _step(by_epoch, epoch)
    for number in range(epoch + 1, max((count for _, count in by_epoch), default=0) + 1):
        _step(by_epoch, number)
    return [group[name] for group in groups]


def _step(counted: Iterable[tuple[_ParamScheduler, int]], number: int) -> None:
    for schedule, count in counted:
        if number <= count:
            schedule.repeat_step()


def _same(one: Any, other: Any, tolerance: float = 1e-6) -> bool:
    """Return whether two settings are equal; numbers may differ by rounding."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(_same(*pair, tolerance) for pair in pairs)
    try:
        return math.isclose(float(one), float(other), rel_tol=tolerance, abs_tol=1e-12)
    except (TypeError, ValueError):
        return bool(one == other)


def _shown(values: Sequence[Value]) -> str:
    return ", ".join(dict.fromkeys(f"{float(value):.4g}" for value in values))
