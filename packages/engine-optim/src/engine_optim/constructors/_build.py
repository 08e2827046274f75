"""Build an optimizer wrapper from a model and a config."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from engine_optim.wrappers import OptimWrapper
from engine_registry import OPTIM_WRAPPER_CONSTRUCTORS


def build_optim_wrapper(model: nn.Module, cfg: Mapping[str, Any]) -> OptimWrapper:
    """Build the optimizer wrapper of a model.

    Args:
        model: The model.
        cfg: The wrapper's config: ``optimizer``, and optionally ``type``, ``paramwise_cfg``,
            ``constructor`` (the name or class of the constructor,
            `DefaultOptimWrapperConstructor` by default) and arguments of the wrapper. It is not
            changed.

    Returns:
        The result of the constructor: an `OptimWrapper`, or an `OptimWrapperDict` of several.

    Example:
        >>> from torch import nn
        >>> cfg = dict(optimizer=dict(type="SGD", lr=0.1), clip_grad=dict(max_norm=1))
        >>> build_optim_wrapper(nn.Linear(2, 1), cfg).get_lr()
        {'lr': [0.1]}
    """
    # Read key by key: a lazy config resolves a value when it is read, and a copy does not read.
    wrapper_cfg = {key: cfg[key] for key in cfg}
    constructor_cfg = {
        "type": wrapper_cfg.pop("constructor", "DefaultOptimWrapperConstructor"),
        "paramwise_cfg": wrapper_cfg.pop("paramwise_cfg", None),
        "optim_wrapper_cfg": wrapper_cfg,
    }
    wrapper: OptimWrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(constructor_cfg)(model)
    return wrapper
