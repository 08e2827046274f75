"""Find the original modules of compiled ones.

`torch.compile` returns a module that holds the original under the name ``_orig_mod``. Importing
the class of such modules takes seconds, so they are recognized by that name.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
        for module in model.modules()
    )


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
    try:
        for inner, _ in calls:
            inner._compiled_call_impl = None
        yield remove_compiled(module)
    finally:
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
