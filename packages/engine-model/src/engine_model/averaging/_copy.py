"""Copy a model with tensors that its parameters determine, such as weight-normed ones."""

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from engine_model._compiled import remove_compiled
from engine_model._model_wrapper import is_model_wrapper
from engine_model._sharded_tensors import is_sharded, reshard, sharded_modules
from engine_model._uninitialized import require_shapes

_FSDP = "torch.distributed.fsdp"


def copied(model: nn.Module) -> nn.Module:
    """Return a deep copy of a model, without compiled sub-modules, and without inner wrappers.

    The copy of a sharded model has sharded parameters, but does not gather them.

    Args:
        model: The model.

    Raises:
        ValueError: A parameter has no shape yet.

    Example:
        >>> copied(nn.Linear(1, 1))
        Linear(in_features=1, out_features=1, bias=True)
    """
    require_shapes(model)
    # `torch.nn.utils.weight_norm` computes the weight before each forward pass, and stores it as an
    # attribute. torch does not copy such a tensor, because it belongs to a graph. The copy computes
    # its own.
    memo: dict[int, Any] = {
        id(tensor): tensor.detach().clone()
        for module in model.modules()
        for tensor in _tensors(module)
        if not tensor.is_leaf
    }
    with _without_sharding(model):
        for parameter in model.parameters():
            if is_sharded(parameter):
                memo[id(parameter)] = nn.Parameter(parameter.detach().clone(), requires_grad=False)
        # A wrapper below the model, such as one per child, would exchange gradients of the copy.
        # From the inside out, since `deepcopy` takes what `memo` has.
        for module in reversed(list(model.modules())):
            inner = getattr(module, "module", None)
            if module is not model and is_model_wrapper(module) and isinstance(inner, nn.Module):
                memo[id(module)] = copy.deepcopy(inner, memo)
        return remove_compiled(copy.deepcopy(model, memo))


@contextmanager
def _without_sharding(model: nn.Module) -> Iterator[None]:
    """Hide what `fully_shard` adds to modules, which `copy.deepcopy` does not allow."""
    reshard(model)
    former: list[tuple[nn.Module, dict[str, Any], type]] = []
    sharded = set(map(id, sharded_modules(model)))
    try:
        for module in model.modules() if sharded else ():
            former.append((module, dict(module.__dict__), type(module)))
            for name, value in former[-1][1].items():
                if name.endswith("_hooks"):
                    kept = {key: hook for key, hook in value.items() if not _is_of_fsdp(hook)}
                    module.__dict__[name] = type(value)(kept)
                elif not name.isidentifier():  # the keys of `torch.distributed._composable`
                    del module.__dict__[name]
            if id(module) in sharded:
                # `fully_shard` puts two classes in front of the original one.
                base = sys.modules[_FSDP].FSDPModule
                module.__class__ = next(
                    kind for kind in type(module).__mro__ if not issubclass(kind, base)
                )
        yield
    finally:
        for module, attributes, kind in former:
            module.__class__ = kind
            module.__dict__.update(attributes)


def _is_of_fsdp(hook: Any) -> bool:
    function = getattr(hook, "hook", hook)  # torch wraps some in an object
    while hasattr(function, "func"):  # a partial
        function = function.func
    return str(getattr(function, "__module__", "")).startswith(_FSDP)


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    """Yield the tensors among the attributes and buffers of a module, and in lists of them."""
    for value in (*module.__dict__.values(), *module._buffers.values()):
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, Tensor):
                yield item


def power_iteration_buffers(model: nn.Module) -> set[int]:
    """Return the identities of the vectors from which spectral normalization estimates its norm.

    They are unit vectors of one set of weights, so their average is not a unit vector.

    Args:
        model: The model.
    """
    found: set[int] = set()
    for module in model.modules():
        if isinstance(module, _SpectralNorm):
            found.update(id(buffer) for buffer in module.buffers(recurse=False))
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm):
                found.update(id(getattr(module, f"{hook.name}_{end}")) for end in "uv")
    return found
