"""Warn where a schedule steps before its optimizer: it would skip its first value."""

import warnings
from typing import Any
from weakref import WeakSet

from torch.optim import Optimizer

# Schedules of one optimizer share its hook. The sets keep no optimizer alive.
_followed: "WeakSet[Optimizer]" = WeakSet()
_unstepped: "WeakSet[Optimizer]" = WeakSet()


def follow_first_step(optimizer: Any) -> None:
    """Note that an optimizer has taken no step, and the first one that it takes.

    Args:
        optimizer: A torch optimizer or a wrapper of one. Others are not followed.
    """
    inner = _inner(optimizer)
    if not isinstance(inner, Optimizer) or inner in _followed or inner.state:
        return
    _followed.add(inner)
    _unstepped.add(inner)

    def on_step(stepped: Optimizer, args: Any, kwargs: Any) -> None:
        _unstepped.discard(stepped)
        handle.remove()  # a later step costs nothing

    handle = inner.register_step_post_hook(on_step)


def warn_if_unstepped(optimizer: Any, schedule: object) -> None:
    """Warn if an optimizer has taken no step yet.

    Args:
        optimizer: The optimizer of the schedule, or its wrapper.
        schedule: The schedule whose first step is taken.
    """
    # A wrapper counts the calls within an accumulation window, too.
    if _inner(optimizer) not in _unstepped or getattr(optimizer, "inner_count", None):
        return
    warnings.warn(
        f"step() of {type(schedule).__name__} is called before the first step of the optimizer, so "
        "the first value of the schedule is skipped; call optimizer.step() or "
        "optim_wrapper.update_params(loss) before",
        UserWarning,
        stacklevel=3,
    )


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "optimizer", optimizer)
