"""Check that all parameters have shapes, which those of `torch.nn.LazyLinear` get in a call."""

from torch import nn
from torch.nn.parameter import is_lazy


def require_shapes(model: nn.Module) -> None:
    """Raise if a parameter or buffer of a model has no shape yet.

    Lazy modules get their shapes in the first forward pass. Before it, their weights cannot be
    initialized, averaged, counted or distributed.

    Args:
        model: The model.

    Raises:
        ValueError: A parameter or buffer has no shape; the error names its module.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.LazyLinear(1))
        >>> output = model(torch.zeros(1, 2))
        >>> require_shapes(model)
    """
    lazy = [
        f"{type(module).__name__} {name!r}" if name else type(module).__name__
        for name, module in model.named_modules()
        if any(map(is_lazy, [*module._parameters.values(), *module._buffers.values()]))
    ]
    if not lazy:
        return
    others = f" and {len(lazy) - 1} more" if len(lazy) > 1 else ""
    raise ValueError(
        f"each parameter of the model must have a shape, got the uninitialized {lazy[0]}{others}; "
        "call the model once on a batch of inputs before you pass it, or at the end of its "
        "`__init__`: its lazy modules take their shapes from that batch"
    )
