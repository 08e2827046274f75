"""Checkpoint activations: drop those of a module, and compute them again in the backward pass."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

from engine_runner._errors import SettingsError
from engine_utils import did_you_mean

Modules = str | type[nn.Module] | Sequence[str | type[nn.Module]]


def turn_on_activation_checkpointing(model: nn.Module, modules: Modules) -> None:
    """Compute the activations of some modules again in the backward pass, to save memory.

    A module then keeps its inputs alone from the forward to the backward pass. Its forward runs
    twice per iteration, with the random numbers and buffers of the first time, so gradients and
    buffers are those without checkpoints, bit for bit. Names of weights stay as they are. Without
    gradients nothing is computed twice. In a compiled model, a module with buffers runs uncompiled.

    Args:
        model: The model, before it is compiled and wrapped. It is changed in place.
        modules: Names of modules (``"backbone.layer1"``), names of classes (``"Bottleneck"``),
            classes, or a list of these. A `ModuleList`, `ModuleDict` or other module without a
            forward stands for the modules in it.

    Raises:
        SettingsError: The model has no module of a name or class, or nothing is named.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> turn_on_activation_checkpointing(model, ["0", "ReLU"])
        >>> model(torch.ones(1, 2)).shape
        torch.Size([1, 1])
    """
    found = [module for one in named_modules(modules) for module in _find(model, one)]
    for module in dict.fromkeys(found):
        own = module.__dict__.get("forward")
        if isinstance(own, partial) and own.func is _checkpointed:
            continue
        # A partial that holds the module, not a closure: a deep copy of the model, such as an
        # average of its weights, then calls the forward of the copy.
        forward: Any = partial(_checkpointed, module, own)
        module.forward = forward


def named_modules(modules: Modules) -> list[str | type[nn.Module]]:
    """Return the names and classes that a setting has.

    Args:
        modules: See `turn_on_activation_checkpointing`.

    Raises:
        SettingsError: It names nothing, or has other values.
    """
    several: Any = modules  # a setting may have any type
    single = isinstance(several, str | type) or not isinstance(several, Iterable)
    given: list[Any] = [several] if single else list(several)
    wrong = [
        one
        for one in given
        if not (one and isinstance(one, str))
        and not (isinstance(one, type) and issubclass(one, nn.Module))
    ]
    if wrong or not given:
        raise SettingsError(
            "activation_checkpointing must be names of modules, names of classes or classes, got "
            f"{wrong[0] if wrong else modules!r}; leave it out for none"
        )
    return given


def _find(model: nn.Module, wanted: str | type[nn.Module]) -> Iterator[nn.Module]:
    """Yield the modules that a name or a class stands for."""
    modules = dict(model.named_modules(remove_duplicate=False))
    if isinstance(wanted, str) and wanted in modules:
        matches = [modules[wanted]]
    elif isinstance(wanted, str):
        matches = [module for module in modules.values() if type(module).__name__ == wanted]
    else:
        matches = [module for module in modules.values() if isinstance(module, wanted)]
    if not matches:
        raise SettingsError(_unknown(wanted, modules))
    found = [one for module in matches for one in _with_forward(module)]
    if not found:
        raise SettingsError(
            f"activation_checkpointing must name modules that compute, got {wanted!r}, which has "
            "no module in it; remove it"
        )
    yield from found


def _with_forward(module: nn.Module) -> Iterator[nn.Module]:
    if type(module).forward is not nn.Module.forward:
        yield module
    else:
        for child in module.children():
            yield from _with_forward(child)


def _unknown(wanted: str | type[nn.Module], modules: dict[str, nn.Module]) -> str:
    name = wanted if isinstance(wanted, str) else wanted.__name__
    kinds = dict.fromkeys(type(module).__name__ for module in modules.values())
    names = [*filter(None, modules), *kinds]
    return (
        f"activation_checkpointing must name modules of {type(modules['']).__name__}, got {name!r}"
        f"{did_you_mean(name, names)}; it has the classes {', '.join(kinds)}"
    )


def _checkpointed(module: nn.Module, own: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the forward of a module, its own one if the instance has one."""
    forward: Any = own if own is not None else partial(type(module).forward, module)
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    if not _has_buffers(module):
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)
    return _keeping_buffers(module, forward, args, kwargs)


# Compiled code would take buffers that the forward changes for inputs of the checkpoint. This way
# of `torch.compiler.disable` does not load the compiler at import.
@torch._disable_dynamo  # type: ignore[attr-defined]  # not exported
def _keeping_buffers(
    module: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    contexts = partial(_contexts, module)
    return checkpoint(forward, *args, use_reentrant=False, context_fn=contexts, **kwargs)


def _has_buffers(module: nn.Module) -> bool:
    return next(module.buffers(), None) is not None


def _contexts(
    module: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts of the first forward pass and of the one in the backward pass."""
    changed: list[tuple[nn.Module, str, Tensor]] = []
    return _noting_changes(module, changed), _with_earlier_buffers(changed)


@contextmanager
def _noting_changes(
    module: nn.Module, changed: list[tuple[nn.Module, str, Tensor]]
) -> Iterator[None]:
    """Keep the values that buffers have before they are changed, such as running statistics."""
    before = [
        (owner, name, buffer, buffer._version, buffer.detach().clone())
        for owner in module.modules()
        for name, buffer in owner._buffers.items()
        if buffer is not None
    ]
    yield
    for owner, name, buffer, version, copy in before:
        # The kernels of batch normalization write without a new version.
        writes = isinstance(owner, _NormBase) and owner.training
        if writes or owner._buffers.get(name) is not buffer or buffer._version != version:
            changed.append((owner, name, copy))


@contextmanager
def _with_earlier_buffers(changed: list[tuple[nn.Module, str, Tensor]]) -> Iterator[None]:
    """Compute with the buffers of the first pass, and leave the present ones as they are."""
    present = [(owner, name, owner._buffers[name]) for owner, name, _ in changed]
    for owner, name, copy in changed:
        owner._buffers[name] = copy.clone()
    try:
        yield
    finally:
        for owner, name, buffer in present:
            owner._buffers[name] = buffer
