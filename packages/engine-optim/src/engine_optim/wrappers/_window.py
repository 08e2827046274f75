"""The gradients of an unfinished accumulation window: save them, and set them again."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

logger = logging.getLogger("engine.optim")


def parameters_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """Yield the parameters of an optimizer in the order of its groups."""
    for group in optimizer.param_groups:
        yield from group["params"]


def has_gradient(optimizer: Optimizer) -> bool:
    """Return whether any parameter of an optimizer has a gradient."""
    return any(param.grad is not None for param in parameters_of(optimizer))


def window_state(optimizer: Optimizer, count: int, calls: int, size: int) -> dict[str, Any]:
    """Return the state of an accumulation window.

    Args:
        optimizer: The optimizer.
        count: The calls of the run so far.
        calls: The calls in the window so far; 0 outside of a window.
        size: The calls in the whole window, by which each loss is divided.

    Returns:
        ``inner_count``, ``calls``, ``size`` and ``gradients``.
    """
    # Outside of a window, too: the backward pass of another optimizer's loss may have left some.
    params = parameters_of(optimizer) if calls or has_gradient(optimizer) else ()
    gradients = [param.grad if param.grad is None else param.grad.detach() for param in params]
    return {"inner_count": count, "calls": calls, "size": size, "gradients": gradients}


def enter_window(
    optimizer: Optimizer, resumed: Mapping[str, Any] | None, count: int, counts: int, most: int
) -> tuple[int, int]:
    """Set the gradients of a saved window, and return its first call and the one after its last.

    Args:
        optimizer: The optimizer.
        resumed: The `window_state` of the saved run, or ``None``.
        count: The calls of the run so far.
        counts: The calls of a window.
        most: The calls of the whole run; -1 if unknown.

    Returns:
        ``(0, 0)`` for a run that starts with a window of the usual calls.
    """
    gradients = resumed["gradients"] if resumed is not None else []
    # A checkpoint of an older version has none of a sharded model: its calls are lost.
    kept = any(gradient is not None for gradient in gradients)
    calls: int = resumed["calls"] if resumed is not None and kept else 0
    if kept and not calls:
        set_gradients(optimizer, gradients, 1)
    if not calls and count % counts == 0:
        return 0, 0
    end = count - count % counts + counts
    if count < most:
        end = min(end, most)
    size = end - count + calls
    if resumed is not None and calls:
        # The saved run has divided its losses by the size of its window.
        set_gradients(optimizer, gradients, resumed["size"] / size)
    if size != counts and (end != most or calls != count % counts):
        logger.warning(
            "The run resumes at iteration %d, inside a window of accumulative_counts=%d. The next "
            "step averages the gradients of %d iterations.",
            count,
            counts,
            size,
        )
    return count - calls, end


def set_gradients(optimizer: Optimizer, gradients: Sequence[Tensor | None], factor: float) -> None:
    """Set the gradients of a `window_state`, times a factor.

    Args:
        optimizer: The optimizer.
        gradients: One per parameter, on any device.
        factor: 1 keeps every bit.

    Raises:
        ValueError: The number of gradients or a shape differs from the parameters.
    """
    params = list(parameters_of(optimizer))
    shapes = [None if item is None else item.shape for item in gradients]
    if len(shapes) != len(params) or any(
        shape is not None and shape != param.shape
        for shape, param in zip(shapes, params, strict=False)
    ):
        raise ValueError(
            f"gradients must fit the {len(params)} parameters of the optimizer, got {len(shapes)} "
            "gradients of other shapes; load the state into the optimizer that it was saved from"
        )
    for param, gradient in zip(params, gradients, strict=True):
        if gradient is not None:
            placed = gradient.to(device=param.device, dtype=param.dtype, copy=True)
            param.grad = _sharded_like(placed if factor == 1 else placed * factor, param)


def _sharded_like(gradient: Tensor, param: Any) -> Tensor:
    if not hasattr(param, "full_tensor"):
        return gradient
    placed: Any = gradient
    if hasattr(gradient, "full_tensor"):
        if placed.device_mesh == param.device_mesh and placed.placements == param.placements:
            return gradient
        gradient = placed.full_tensor()
    # Imported here, because it takes long to load and only sharded runs need it.
    from torch.distributed.tensor import distribute_tensor

    # src_data_rank=None: each rank has the whole tensor.
    return distribute_tensor(gradient, param.device_mesh, param.placements, src_data_rank=None)


def why_no_gradient(optimizer: Optimizer) -> str:
    """Return the message for a loss that has no gradient."""
    if not any(param.requires_grad for param in parameters_of(optimizer)):
        why = (
            "all parameters of the optimizer are frozen (requires_grad=False); leave some of them "
            "trainable"
        )
    elif not torch.is_grad_enabled():
        why = "gradients are switched off here; compute the loss outside of torch.no_grad()"
    else:
        why = (
            "it was detached, computed under torch.no_grad(), or computed from frozen parameters "
            "(requires_grad=False) alone"
        )
    return f"loss must depend on a trainable parameter, got a loss without a gradient: {why}"
