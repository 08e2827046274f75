"""The configured options of optimizers, to find those that a resumed run has changed."""

import logging
import math
from collections.abc import Iterable, Mapping
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
            if isinstance(group[key], Tensor):
                group[key].fill_(value)  # a compiled step reads this object
            else:
                group[key] = value
    return changes


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_same, one, other))
    try:
        return math.isclose(one, other, rel_tol=1e-6)
    except TypeError:
        return bool(one == other)
