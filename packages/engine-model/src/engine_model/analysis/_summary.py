"""Summarize the parts of a model in a table."""

from collections.abc import Mapping

from torch import nn

from engine_model._compiled import uncompiled
from engine_model._uninitialized import require_shapes
from engine_model.analysis._numbers import short_number, table


def summary_table(
    model: nn.Module, max_depth: int = 2, flops: Mapping[str, int] | None = None
) -> str:
    """Return a table of the modules of a model: parameters, trainable ones and FLOPs.

    Args:
        model: The model.
        max_depth: The depth to show; 0 shows the model alone.
        flops: The operations of each module by name; without them the table has no such column.

    Raises:
        ValueError: A parameter has no shape yet.

    Example:
        >>> print(summary_table(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), flops={"": 24, "0": 24}))
        module  type        parameters  trainable  FLOPs
        -       Sequential          16         16     24
          0     Linear              16         16     24
          1     ReLU                 0          0      0
    """
    require_shapes(model)
    heading = ["module", "type", "parameters", "trainable"]
    lines = [heading if flops is None else [*heading, "FLOPs"]]
    with uncompiled(model) as plain:
        for name, module in plain.named_modules():
            depth = name.count(".") + 1 if name else 0
            if depth > max_depth:
                continue
            params = list(module.parameters())
            counts = [
                sum(param.numel() for param in params),
                sum(param.numel() for param in params if param.requires_grad),
            ]
            if flops is not None:
                counts.append(flops.get(name, 0))
            label = "  " * depth + (name.rpartition(".")[2] or "-")
            lines.append([label, type(module).__name__, *map(short_number, counts)])
    return table(lines, left=2)
