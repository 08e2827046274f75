"""Call a model with the parts of a batch as arguments."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary, ref

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


_views: "WeakKeyDictionary[nn.Module, Any]" = WeakKeyDictionary()
"""The view of each wrapper's module: a class per call would cost more than a small layer."""


def called_through(module: nn.Module, wrapper: nn.Module) -> Any:
    """Return a view of a module: the same object in all but its call, which runs its wrapper.

    A method of the module that calls ``self(...)`` then trains through the wrapper. The view has
    the `no_sync` of the wrapper, so that an optimizer wrapper that gets the view finds it.

    Args:
        module: The module.
        wrapper: A wrapper that runs the module when it is called.
    """
    view = _views.get(wrapper)
    if view is None or vars(view) is not vars(module):
        view = _views[wrapper] = _view(module, ref(wrapper))
    return view


def _view(module: nn.Module, wrapper: "ref[nn.Module]") -> Any:
    # A weak reference, as the view must not keep its own key alive.
    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return wrapper()(*args, **kwargs)  # type: ignore[misc]  # the wrapper runs this method

    members: dict[str, Any] = {"__call__": call}
    if hasattr(wrapper(), "no_sync"):
        members["no_sync"] = property(lambda self: wrapper().no_sync)  # type: ignore[union-attr]  # as above
    kind = type(module)
    metaclass: Any = type(kind)
    # A subclass, since Python looks up ``__call__`` on the class, and ``super()`` needs one.
    view = object.__new__(metaclass(kind.__name__, (kind,), members))
    object.__setattr__(view, "__dict__", vars(module))
    return view
