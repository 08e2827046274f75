"""Copy a model with tensors that its parameters determine, such as weight-normed ones."""

import copy
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from engine_model._compiled import remove_compiled


def copied(model: nn.Module) -> nn.Module:
    """Return a deep copy of a model, in which no sub-module is compiled.

    Args:
        model: The model.

    Example:
        >>> copied(nn.Linear(1, 1))
        Linear(in_features=1, out_features=1, bias=True)
    """
    # `torch.nn.utils.weight_norm` computes the weight before each forward pass, and stores it as an
    # attribute. torch does not copy such a tensor, because it belongs to a graph. The copy computes
    # its own.
    memo: dict[int, Any] = {
        id(tensor): tensor.detach().clone()
        for module in model.modules()
        for tensor in _tensors(module)
        if not tensor.is_leaf
    }
    return remove_compiled(copy.deepcopy(model, memo))


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
