"""The optimizer wrappers of a run, whether it has one or several."""

from typing import Any


def wrappers_by_name(optim_wrapper: Any) -> dict[str, Any]:
    """Return the wrappers of an `engine_optim.OptimWrapperDict` by name, or one under ``""``."""
    several = hasattr(optim_wrapper, "values")
    return dict(optim_wrapper) if several else {"": optim_wrapper}
