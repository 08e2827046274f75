"""Recompute the statistics of batch normalization, which an average of weights does not have."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine_dist import all_reduce_params
from engine_model._forward import run_forward


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """Return the batch normalization layers that track running statistics.

    Args:
        model: The model.

    Example:
        >>> layers = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2, track_running_stats=False))
        >>> len(batch_norms(layers))
        1
    """
    return [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    ]


@torch.no_grad()
def update_batch_norms(
    model: nn.Module, batches: Iterable[Any], forward: Callable[[Any], object] | None = None
) -> int:
    """Replace the running statistics of batch normalization by the mean over batches.

    It extends `torch.optim.swa_utils.update_bn`: any form of batch is possible, statistics are
    averaged over the ranks, and other buffers keep their values. Layers that the model itself
    keeps in evaluation mode, such as frozen ones, are not changed. All ranks must call this.

    Args:
        model: The model, in whose training mode ``forward`` is called.
        batches: The batches of this rank. If no layer needs them, none is read.
        forward: Called with each batch; it runs the forward pass of ``model``. By default a
            `BaseModel` computes its losses, and another model is called with the batch, or with the
            first item of a list or tuple.

    Returns:
        The number of layers that were updated.

    Raises:
        ValueError: There is no batch.

    Example:
        >>> model = nn.BatchNorm1d(1)
        >>> update_batch_norms(model, [torch.tensor([[1.0], [3.0]])])
        1
        >>> model.running_mean.item()
        2.0
    """
    forward = forward or partial(_forward, model)
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    layers = [layer for layer in batch_norms(model) if layer.training]
    momenta = [layer.momentum for layer in layers]
    own = {id(buffer) for layer in layers for buffer in layer.buffers()}
    buffers = list(model.buffers())
    former = [buffer.clone() for buffer in buffers]
    finished = False  # whether there are new statistics to keep
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a mean, in place of an exponential average
        read = 0
        for batch in batches if layers else ():
            forward(batch)
            read += 1
        finished = read > 0 or not layers
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for buffer, value in zip(buffers, former, strict=True):
            if not finished or id(buffer) not in own:
                buffer.copy_(value)
        for module, training in modes:
            module.training = training
    if not finished:
        raise ValueError("batches must have at least one batch, got none; check where they end")
    all_reduce_params([item for layer in layers for item in _statistics(layer)], op="mean")
    return len(layers)


def _forward(model: nn.Module, batch: Any) -> object:
    preprocessor: Any = getattr(model, "data_preprocessor", None)
    if preprocessor is not None:
        return run_forward(model, preprocessor(batch, True), "loss")
    return model(batch[0] if isinstance(batch, list | tuple) else batch)


def _statistics(layer: _BatchNorm) -> list[Tensor]:
    return [item for item in (layer.running_mean, layer.running_var) if item is not None]
