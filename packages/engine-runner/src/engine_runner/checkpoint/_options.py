"""The configured options of optimizers, to find those that a resumed run has changed."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from engine_runner._wrappers import wrappers_by_name

_log = logging.getLogger("engine.runner")


class OptimizerOptions:
    """The options of one optimizer wrapper, or of several, as they were configured.

    An optimizer takes over the options of its saved state. This sets those that the config has
    changed since. Scheduled options are left to their schedules.

    Args:
        optim_wrapper: An `engine_optim.OptimWrapper` or `engine_optim.OptimWrapperDict`, before it
            loads its state.

    Example:
        >>> import torch
        >>> from engine_optim import OptimWrapper
        >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.5)
        >>> OptimizerOptions(OptimWrapper(optimizer)).state_dict()[""][0]["lr"]
        0.5
    """

    def __init__(self, optim_wrapper: Any) -> None:
        self._wrappers = wrappers_by_name(optim_wrapper)
        # A loaded state has the initial values of the schedules of the saved run.
        self._scheduled = {
            name: [{key for key in group if key.startswith("initial_")} for group in groups]
            for name, wrapper in self._wrappers.items()
            for groups in [wrapper.optimizer.param_groups]
        }

    def state_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return the numbers among the options of each group, by the name of the optimizer."""
        return {name: wrapper.options for name, wrapper in self._wrappers.items()}

    def load_state_dict(self, state_dict: Mapping[str, list[dict[str, Any]]]) -> None:
        """Set the options that differ from the saved ones, and log them."""
        for name, wrapper in self._wrappers.items():
            changes: dict[str, tuple[Any, Any]] = {}
            saved = state_dict.get(name, [])
            groups = wrapper.optimizer.param_groups
            if len(saved) == len(groups) == len(wrapper.options):
                scheduled = self._scheduled[name]
                for group, now, before, own in zip(
                    groups, wrapper.options, saved, scheduled, strict=True
                ):
                    changes |= _set_changed(group, now, before, own)
            for key, (now, before) in changes.items():
                _log.warning(
                    "the optimizer %scontinues with %s=%s as configured; the checkpoint has %s",
                    f"{name} " if name else "",
                    key,
                    now,
                    before,
                )


def _set_changed(
    group: dict[str, Any], now: Mapping[str, Any], before: Mapping[str, Any], own: Iterable[str]
) -> dict[str, tuple[Any, Any]]:
    """Set the changed options of a group, and return the values of this run and of the saved."""
    changes = {}
    for key, value in now.items():
        if key in before and key in group and not _same(value, before[key]):
            if f"initial_{key}" in own:
                continue
            changes[key] = (value, before[key])
            _set(group, key, value)
    return changes


def scheduled_values(wrapper: Any) -> list[dict[str, Any]]:
    """Return the values of each group of an optimizer that schedules change, and initial ones."""
    return [
        {
            name: value.clone() if isinstance(value, Tensor) else value
            for name, value in group.items()
            if name.startswith("initial_") or f"initial_{name}" in group
        }
        for group in _groups(wrapper)
    ]


def set_values(wrapper: Any, values: Sequence[Mapping[str, Any]]) -> None:
    """Set the values of each group of an optimizer.

    Args:
        wrapper: The wrapper of the optimizer.
        values: The values by name, of each group.
    """
    for group, own in zip(_groups(wrapper), values, strict=True):
        for name, value in own.items():
            _set(group, name, value)


def _groups(wrapper: Any) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = getattr(wrapper, "scheduled_groups", wrapper.param_groups)
    return groups


def _set(group: dict[str, Any], name: str, value: Any) -> None:
    if isinstance(group.get(name), Tensor):
        group[name].fill_(value)  # a compiled step reads this object
    else:
        group[name] = value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_same, one, other))
    try:
        return math.isclose(one, other, rel_tol=1e-6)
    except TypeError:
        return bool(one == other)
