"""Find the normalization layers of a model."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

# The private bases include the lazy, synchronized and 1D to 3D variants.
_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.LocalResponseNorm)


def has_batch_norm(model: nn.Module) -> bool:
    """Return whether a model has batch normalization, of any dimension or synchronized.

    Example:
        >>> has_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
        True
    """
    return any(isinstance(module, _BatchNorm) for module in model.modules())


def is_norm(
    layer: nn.Module, exclude: type[nn.Module] | tuple[type[nn.Module], ...] | None = None
) -> bool:
    """Return whether a layer normalizes: batch, instance, group, layer, RMS or local response.

    Args:
        layer: The layer.
        exclude: Classes for which the result is False.

    Raises:
        TypeError: ``exclude`` is neither a class nor a tuple of classes.

    Example:
        >>> is_norm(nn.GroupNorm(2, 4)), is_norm(nn.LayerNorm(4), exclude=nn.LayerNorm)
        (True, False)
    """
    if exclude is not None:
        kinds = exclude if isinstance(exclude, tuple) else (exclude,)
        if not all(isinstance(kind, type) for kind in kinds):
            raise TypeError(f"exclude must be a class or a tuple of classes, got {exclude!r}")
        if isinstance(layer, kinds):
            return False
    return isinstance(layer, _NORMS)
