"""Compile the forward of a layer of torch, and find the original modules of compiled ones.

`torch.compile` returns a module that holds the original under the name ``_orig_mod``. Importing
the class of such modules takes seconds, so they are recognized by that name.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

COMPILED = "_orig_mod"
"""The name under which a compiled module holds the original."""


def is_compiled(module: object) -> bool:
    """Return whether ``module`` is the result of `torch.compile`.

    Args:
        module: Any object.

    Example:
        >>> is_compiled(nn.Linear(1, 1))
        False
    """
    return isinstance(module, nn.Module) and module._modules.get(COMPILED) is not None


def original(module: nn.Module) -> nn.Module:
    """Return the module that was compiled, or a module that is not compiled unchanged.

    Args:
        module: The module.
    """
    while (inner := module._modules.get(COMPILED)) is not None:
        module = inner
    return module


def compiled_in_place(module: nn.Module) -> nn.Module:
    """Return the original of a compiled module, whose calls run the compiled code.

    The methods of `torch.compile`'s result, such as ``train_step``, call the original, which is not
    compiled. The methods of the returned module run the compiled code.

    Args:
        module: The module. One that is not compiled is returned unchanged.
    """
    found = original(module)
    compiler: Any = getattr(module, "dynamo_ctx", None)  # what `torch.compile` was given
    if found is not module and compiler is not None:
        # As `nn.Module.compile` does.
        found._compiled_call_impl = compiler(found._call_impl)
    return found


def runs_compiled(model: nn.Module) -> bool:
    """Return whether a model, one of its modules or its steps run compiled code.

    Args:
        model: The model, in its wrapper or without.

    Example:
        >>> runs_compiled(nn.Linear(1, 1))
        False
    """
    return any(
        is_compiled(module)
        or module.__dict__.get("_compiled_call_impl") is not None
        or module.__dict__.get("_compiled_step") is not None
        or isinstance(module.__dict__.get("forward"), _CompiledForward)
        for module in model.modules()
    )


def compile_forwards(modules: Mapping[nn.Module, str], **options: Any) -> None:
    """Compile the forwards of layers of torch in place, below their hooks.

    The compiler does not look into functions of torch, unless they are called from others. Hooks
    run as they are, such as those of `torch.distributed.fsdp.fully_shard`, which compiled code
    cannot contain. A copy of a module is not compiled.

    Args:
        modules: The modules and their names, by which the compiler logs them. Equal modules share
            their compiled code.
        **options: Arguments of `torch.compile`.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> compile_forwards({layer: "head"}, backend="eager")
        >>> layer(torch.ones(4, 2)).shape
        torch.Size([4, 1])
        >>> runs_compiled(layer)
        True
    """
    groups: dict[Any, list[nn.Module]] = {}
    for module in modules:
        shapes = tuple((one.shape, one.dtype) for one in module.parameters())
        groups.setdefault((repr(module), shapes), []).append(module)
    for group in groups.values():
        more = f" and {len(group) - 1} more" if group[1:] else ""
        name = f"{modules[group[0]]}{more} ({type(group[0]).__name__})"
        # The compiler stores its work, its limit of versions and its messages by code object.
        code = _forward_of(group[0], None).__code__.replace(co_name=name, co_qualname=name)
        for module in group:
            own: Any = module.__dict__.get("forward")
            function = _forward_of(module, own)
            function.__code__ = code
            forward: Any = _CompiledForward(module, own, torch.compile(function, **options))
            module.forward = forward


def _forward_of(module: nn.Module, own: Callable[..., Any] | None) -> Any:
    def forward(*args: Any, **kwargs: Any) -> Any:
        if own is not None:
            return own(*args, **kwargs)
        return type(module).forward(module, *args, **kwargs)

    return forward


class _CompiledForward:
    """The compiled forward of one module; of a copy of the module, or a pickle, the plain one.

    Args:
        module: The module.
        own: The forward of the instance, if it had one.
        compiled: The compiled function.
    """

    def __init__(self, module: nn.Module, own: Any, compiled: Callable[..., Any]) -> None:
        self.module, self.own, self.compiled = module, own, compiled

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.compiled(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _plain_forward, (self.module, self.own)


def _plain_forward(module: nn.Module, own: Any) -> Any:
    return own if own is not None else partial(type(module).forward, module)


def remove_compiled(module: nn.Module) -> nn.Module:
    """Replace each compiled sub-module by its original, in place.

    Args:
        module: The module.

    Returns:
        The original of ``module``.
    """
    for parent, name, child in _compiled_children(module):
        parent._modules[name] = original(child)
    return original(module)


@contextmanager
def uncompiled(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the original of a module, inside which no sub-module is compiled.

    Args:
        module: The module. After the context it is as before.
    """
    replaced = _compiled_children(module)
    calls = [
        (inner, inner._compiled_call_impl)
        for inner in module.modules()
        if inner.__dict__.get("_compiled_call_impl") is not None
    ]
    forwards = [
        (inner, forward)
        for inner in module.modules()
        if isinstance(forward := inner.__dict__.get("forward"), _CompiledForward)
    ]
    try:
        for inner, _ in calls:
            inner._compiled_call_impl = None
        for inner, forward in forwards:
            inner.__dict__["forward"] = _plain_forward(inner, forward.own)
        yield remove_compiled(module)
    finally:
        for inner, forward in forwards:
            inner.__dict__["forward"] = forward
        for parent, name, child in replaced:
            parent._modules[name] = child
        for inner, call in calls:
            inner._compiled_call_impl = call


def _compiled_children(module: nn.Module) -> list[tuple[nn.Module, str, nn.Module]]:
    return [
        (parent, name, child)
        for parent in module.modules()
        if not is_compiled(parent)
        for name, child in parent._modules.items()
        if child is not None and is_compiled(child)
    ]
