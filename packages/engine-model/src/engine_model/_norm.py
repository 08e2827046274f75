"""Convert batch normalization between one process and all processes."""

import importlib
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine_model._compiled import COMPILED, original
from engine_model._uninitialized import require_shapes


class BatchNormXd(_BatchNorm):
    """Normalize inputs ``(N, C, ...)`` of any number of dimensions.

    It replaces a synchronized layer, which does not store whether it was a 1d, 2d or 3d layer.

    Example:
        >>> import torch
        >>> BatchNormXd(3)(torch.zeros(2, 3, 4, 4)).shape
        torch.Size([2, 3, 4, 4])
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"the input must be (N, C, ...), got {tuple(input.shape)}")


def revert_sync_batchnorm(module: nn.Module) -> nn.Module:
    """Replace each synchronized batch normalization by one that needs no process group.

    Parameters and buffers are the same objects as before.

    Args:
        module: The module; its sub-modules are replaced in place.

    Returns:
        ``module``, or the new layer if ``module`` is itself such a layer.

    Example:
        >>> import torch
        >>> layer = revert_sync_batchnorm(nn.SyncBatchNorm(2))
        >>> layer(torch.ones(3, 2)).tolist()
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    synchronized: tuple[type[nn.Module], ...] = (nn.SyncBatchNorm, *_mmcv_layers())
    return _replace(module, lambda layer: isinstance(layer, synchronized), BatchNormXd)


def convert_sync_batchnorm(module: nn.Module, implementation: str = "torch") -> nn.Module:
    """Replace each batch normalization by one whose statistics cover all processes.

    Parameters and buffers are the same objects as before, so their optimizer stays valid.

    Args:
        module: The module; its sub-modules are replaced in place.
        implementation: ``"torch"`` for `torch.nn.SyncBatchNorm`, ``"mmcv"`` for the layer of mmcv.

    Returns:
        ``module``, or the new layer if ``module`` is itself a batch normalization.

    Raises:
        ValueError: ``implementation`` is neither ``"torch"`` nor ``"mmcv"``, or a layer has no
            shape yet.
        ImportError: ``implementation`` is ``"mmcv"``, and mmcv with its operators is not installed.

    Example:
        >>> layers = convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()))
        >>> [type(layer).__name__ for layer in layers]
        ['SyncBatchNorm', 'ReLU']
    """
    if implementation not in ("torch", "mmcv"):
        raise ValueError(f"implementation must be 'torch' or 'mmcv', got {implementation!r}")
    target: type[nn.Module] = nn.SyncBatchNorm
    if implementation == "mmcv":
        layers = _mmcv_layers()
        if not layers:
            raise ImportError(
                "implementation='mmcv' needs mmcv with its compiled operators; install it, or use "
                "implementation='torch'"
            )
        target = layers[0]
    require_shapes(module)
    return _replace(
        module,
        lambda layer: isinstance(layer, _BatchNorm) and not isinstance(layer, nn.SyncBatchNorm),
        target,
    )


def _mmcv_layers() -> tuple[type[nn.Module], ...]:
    """Return the synchronized layer of mmcv, if mmcv is installed."""
    try:
        layers = importlib.import_module("mmcv.ops")
    except ImportError:
        return ()
    return (layers.SyncBatchNorm,)


def _replace(
    module: nn.Module, is_chosen: Callable[[nn.Module], bool], target: type[nn.Module]
) -> nn.Module:
    """Replace chosen layers by layers of type ``target``; shared layers stay shared."""
    if is_chosen(original(module)):
        return _like(original(module), target)
    # remove_duplicate=False lists a shared layer under each of its names. All names get the same
    # new layer.
    made: dict[nn.Module, nn.Module] = {}
    for path, layer in list(module.named_modules(remove_duplicate=False)):
        if is_chosen(layer):
            if layer not in made:
                made[layer] = _like(layer, target)
            # The compiled code of a layer that was compiled itself calls the old layer, so the new
            # layer replaces both.
            while path.rpartition(".")[2] == COMPILED:
                path = path.rpartition(".")[0]
            module.set_submodule(path, made[layer])
    return module


def _like(layer: nn.Module, target: type[nn.Module]) -> nn.Module:
    """Return a ``target`` with the settings, parameters and buffers of a batch normalization."""
    new = target(
        layer.num_features,
        eps=layer.eps,
        momentum=layer.momentum,
        affine=layer.affine,
        track_running_stats=layer.track_running_stats,
    )
    # Keep the tensor objects: an optimizer may have them already.
    for name, parameter in layer.named_parameters(recurse=False):
        setattr(new, name, parameter)
    for name, buffer in layer.named_buffers(recurse=False):
        setattr(new, name, buffer)
    new.training = layer.training
    return new
