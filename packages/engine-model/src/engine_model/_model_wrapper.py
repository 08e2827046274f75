"""Recognize modules that wrap a model."""

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from engine_registry import MODEL_WRAPPERS, Registry

# Register torch's wrappers. Our own are registered where they are defined.
MODEL_WRAPPERS.register_module(module=DistributedDataParallel)
MODEL_WRAPPERS.register_module(module=DataParallel)


def is_model_wrapper(model: nn.Module, registry: Registry = MODEL_WRAPPERS) -> bool:
    """Return whether ``model`` wraps another model, as its attribute ``module``.

    Args:
        model: The module to check.
        registry: The registry of wrapper classes. Its child registries are searched too. Register
            your own wrappers in `MODEL_WRAPPERS`.

    Example:
        >>> is_model_wrapper(DataParallel(nn.Linear(1, 1))), is_model_wrapper(nn.Linear(1, 1))
        (True, False)
    """
    wrappers = tuple(kind for kind in registry.module_dict.values() if isinstance(kind, type))
    return isinstance(model, wrappers) or any(
        is_model_wrapper(model, child) for child in registry.children.values()
    )
