"""Call a model with the parts of a batch as arguments."""

from collections.abc import Mapping
from typing import Any

from torch import nn


def run_forward(model: nn.Module, data: Any, mode: str) -> Any:
    """Call ``model`` with a dict as keyword arguments, or a list as positional arguments.

    Args:
        model: The model or its wrapper.
        data: The batch that the data preprocessor returned.
        mode: The argument ``mode`` of the call.

    Raises:
        TypeError: ``data`` is not a dict, list or tuple.
    """
    # The usual types first: to check for Mapping takes longer than all others.
    if isinstance(data, dict):
        return model(**data, mode=mode)
    if isinstance(data, (list, tuple)):
        return model(*data, mode=mode)
    if isinstance(data, Mapping):
        return model(**data, mode=mode)
    raise TypeError(
        f"the data preprocessor must return a dict, list or tuple of arguments for forward, "
        f"got {type(data).__name__}"
    )


def run_forward_of(model: Any, data: Any, mode: str) -> Any:
    """Run ``model._run_forward``, which a subclass may override, or `run_forward` without it."""
    own = getattr(model, "_run_forward", None)
    return run_forward(model, data, mode) if own is None else own(data, mode)


def called_through(module: nn.Module, wrapper: nn.Module) -> Any:
    """Return a view of a module: the same object in all but its call, which runs its wrapper.

    A method of the module that calls ``self(...)`` then trains through the wrapper.

    Args:
        module: The module.
        wrapper: A wrapper that runs the module when it is called.
    """

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return wrapper(*args, **kwargs)

    kind = type(module)
    metaclass: Any = type(kind)
    # A subclass, since Python looks up ``__call__`` on the class, and ``super()`` needs one.
    view = object.__new__(metaclass(kind.__name__, (kind,), {"__call__": call}))
    object.__setattr__(view, "__dict__", vars(module))
    return view
