"""The optimizer wrappers of a run, whether it has one or several."""

from typing import Any


def wrappers_by_name(optim_wrapper: Any) -> dict[str, Any]:
    """Return the wrappers of an `engine_optim.OptimWrapperDict` by name, or one under ``""``."""
    several = hasattr(optim_wrapper, "values")
    return dict(optim_wrapper) if several else {"": optim_wrapper}


def guards_of(optim_wrapper: Any) -> list[Any]:
    """Return the `engine_optim.StepGuard` of each optimizer that has one."""
    wrappers = wrappers_by_name(optim_wrapper).values()
    return [guard for one in wrappers if (guard := getattr(one, "guard", None)) is not None]
