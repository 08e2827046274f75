"""Checkpoint activations: drop those of a module, and compute them again in the backward pass."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

from engine_model import module_selectors, select_modules, with_forward
from engine_registry import FUNCTIONS
from engine_runner._errors import SettingsError
from engine_runner._rules import activation_checkpointing_rule

Select = Callable[[nn.Module, str], bool]
"""Called with each module and its name; returns whether its activations are checkpointed."""

Modules = str | type[nn.Module] | Sequence[str | type[nn.Module]] | Select | Mapping[str, Any]

_SETTING = "activation_checkpointing"


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
            forward stands for the modules in it. Or a policy: a function that is called with each
            module and its name, and returns whether to checkpoint it; its name in ``FUNCTIONS``,
            or a dict of this ``type`` and further arguments.

    Raises:
        SettingsError: The model has no module of a name or class, the policy chooses none, or
            nothing is named.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> turn_on_activation_checkpointing(model, ["0", "ReLU"])
        >>> model(torch.ones(1, 2)).shape
        torch.Size([1, 1])
        >>> turn_on_activation_checkpointing(model, lambda module, name: name == "2")
    """
    for module in _chosen(model, modules):
        own = module.__dict__.get("forward")
        if isinstance(own, partial) and own.func is _checkpointed:
            continue
        # A partial that holds the module, not a closure: a deep copy of the model, such as an
        # average of its weights, then calls the forward of the copy.
        forward: Any = partial(_checkpointed, module, own)
        module.forward = forward


def check_modules(modules: Modules) -> None:
    """Check a setting as far as that needs no model.

    Args:
        modules: See `turn_on_activation_checkpointing`.

    Raises:
        SettingsError: It names nothing, has other values, or an unknown function.
    """
    for _, message in activation_checkpointing_rule(_SETTING, modules):
        raise SettingsError(message)


def _chosen(model: nn.Module, modules: Modules) -> Iterable[nn.Module]:
    """Return the modules that a setting stands for, each once."""
    check_modules(modules)
    policy = _policy(model, modules)
    try:
        if policy is None:
            return select_modules(model, module_selectors(modules, _SETTING), _SETTING)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    names = [name for name, module in model.named_modules() if policy(module, name)]
    if not names:
        raise SettingsError(
            f"{_SETTING} must choose a module, got a policy that returns False for each module of "
            f"{type(model).__name__}; leave it out for none"
        )
    found = [with_forward(model.get_submodule(name)) for name in names]
    return dict.fromkeys(module for several in found for _, module in several)


def _policy(model: nn.Module, modules: Modules) -> Select | None:
    """Return the policy of a setting, or None if it names modules and classes."""
    if isinstance(modules, Mapping):
        arguments = dict(modules)
        kind = arguments.pop("type")
        function: Any = FUNCTIONS.in_default_scope().get(kind) if isinstance(kind, str) else kind
        return partial(function, **arguments)
    if isinstance(modules, str):
        kinds = {type(module).__name__ for module in model.modules()}
        named = modules in kinds or any(modules == name for name, _ in model.named_modules())
        registered: Select | None = None if named else FUNCTIONS.in_default_scope().get(modules)
        return registered
    return None if isinstance(modules, type) or not callable(modules) else modules


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
