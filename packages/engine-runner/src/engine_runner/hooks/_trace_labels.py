"""Name the parts of a training step in the trace of a profiler."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from typing import Any

from torch import nn
from torch.profiler import record_function

from engine_model import is_model_wrapper, runs_compiled
from engine_runner._protocols import Run
from engine_runner._wrappers import wrappers_by_name

_STEPS = ("train_step", "val_step", "test_step")
_UPDATES = {"backward": "backward", "step": "optimizer_step", "zero_grad": "zero_grad"}


@contextmanager
def trace_labels(runner: Run, *, trains: bool) -> Iterator[None]:
    """Label what a run does while a profiler records; outside of the block nothing is changed.

    The labels are ``train_step``, ``val_step``, ``test_step``, ``forward (<class>)`` for the model,
    the name of each of its modules with its class, such as ``backbone.conv1 (Conv2d)``,
    ``backward``, ``optimizer_step``, ``zero_grad``, and ``hooks.`` with the name of a point. torch
    itself labels the data loading, as ``enumerate(DataLoader)``. The modules of a compiled model
    have no labels, which would compile it anew.

    Args:
        runner: The run.
        trains: Whether the run trains, and so has optimizers.
    """
    wrappers = wrappers_by_name(runner.optim_wrapper) if trains else {}
    with ExitStack() as stack:
        for name in _STEPS:
            if hasattr(runner.model, name):
                stack.enter_context(_labeled_method(runner.model, name, name))
        for prefix, wrapper in wrappers.items():
            for name, label in _UPDATES.items():
                text = f"{prefix}.{label}" if prefix else label
                stack.enter_context(_labeled_method(wrapper, name, text))
        stack.enter_context(_labeled_method(runner, "call_hook", "hooks", first_argument=True))
        stack.enter_context(_labeled_modules(runner.model))
        yield


@contextmanager
def _labeled_method(
    owner: object, name: str, label: str, *, first_argument: bool = False
) -> Iterator[None]:
    """Record each call of a method, under the label, or the label and the first argument."""
    own = vars(owner).get(name)
    method: Callable[..., Any] = getattr(owner, name)

    @wraps(method)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        with record_function(f"{label}.{args[0]}" if first_argument and args else label):
            return method(*args, **kwargs)

    setattr(owner, name, recorded)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


@contextmanager
def _labeled_modules(model: nn.Module) -> Iterator[None]:
    """Record the forward pass of each module of a model, under its name and class."""
    inner: Any = model.module if is_model_wrapper(model) and hasattr(model, "module") else model
    modules = {} if runs_compiled(model) else dict(inner.named_modules())
    opened = threading.local()  # a module may run in several threads

    def enter(label: str) -> Callable[..., None]:
        def before(module: nn.Module, args: Any) -> None:
            record: AbstractContextManager[Any] = record_function(label)
            record.__enter__()
            vars(opened).setdefault("records", []).append(record)

        return before

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        opened.records.pop().__exit__(None, None, None)

    with ExitStack() as stack:
        for name, module in modules.items():
            label = f"{name or 'forward'} ({type(module).__name__})"
            stack.callback(module.register_forward_pre_hook(enter(label)).remove)
            # Called last, so that the module's own hooks are within, and after an error, too.
            hook = module.register_forward_hook(leave, always_call=True)
            stack.callback(hook.remove)
        yield
