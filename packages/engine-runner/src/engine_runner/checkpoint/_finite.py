"""Find trained weights that are NaN or infinite."""

import math
from collections.abc import Container

from torch import nn

from engine_dist import all_gather_object
from engine_model import local_part


class BrokenWeightsError(ArithmeticError):
    """Weights are NaN or infinite, and must not replace those of an earlier checkpoint."""


def non_finite_weights(model: nn.Module) -> list[str]:
    """Return the names of the trained parameters that contain NaN or infinity, on this rank.

    Buffers and frozen parameters are left out: a mask may be infinite on purpose. A sharded
    parameter is searched in the shard of this rank.

    Args:
        model: The model; it is not changed.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> _ = nn.init.constant_(model.bias, float("nan"))
        >>> non_finite_weights(model)
        ['bias']
    """
    parts = {
        name: local_part(parameter)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.is_floating_point()
    }
    # A sharded parameter may have no element on this rank, and no elements have no norm.
    trained = {name: part for name, part in parts.items() if part.numel()}
    # If all is well, one number is read from the device, however many parameters there are.
    norm = nn.utils.get_total_norm(trained.values(), norm_type=math.inf)
    if math.isfinite(float(norm)):
        return []
    return [name for name, part in trained.items() if not part.isfinite().all()]


def broken_weight(model: nn.Module, known: Container[str]) -> str | None:
    """Return the name of a trained parameter that is not finite on any rank, or None.

    All ranks must call this; the name is equal on all of them.

    Args:
        model: The model; it is not changed.
        known: The names of parameters that may be NaN or infinite.
    """
    found = [name for name in non_finite_weights(model) if name not in known]
    # A shard of another rank may be the one.
    return next(filter(None, all_gather_object(found[0] if found else None)), None)
