"""The optimizer wrappers of a run, whether it has one or several."""

from collections.abc import Mapping
from typing import Any

from engine_optim import OptimWrapperDict, StepGuard


def wrappers_by_name(optim_wrapper: Any) -> dict[str, Any]:
    """Return the wrappers of an `engine_optim.OptimWrapperDict` by name, or one under ``""``."""
    several = isinstance(optim_wrapper, OptimWrapperDict | Mapping)
    return dict(optim_wrapper) if several else {"": optim_wrapper}


def guards_of(optim_wrapper: Any) -> list[StepGuard]:
    """Return the guard of each optimizer that has one."""
    guards = (getattr(one, "guard", None) for one in wrappers_by_name(optim_wrapper).values())
    return [guard for guard in guards if isinstance(guard, StepGuard)]
