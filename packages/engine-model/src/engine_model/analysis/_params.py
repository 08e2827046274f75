"""Count the parameters of each module without running the model."""

from torch import nn

from engine_model._compiled import uncompiled
from engine_model._uninitialized import require_shapes
from engine_model.analysis._numbers import short_number, table
from engine_utils import plain_name


def parameter_count(model: nn.Module) -> dict[str, int]:
    """Count the parameters of a model and of each of its modules and parameters.

    A shared parameter counts once in each module that contains all its uses. Names are those of the
    model without `torch.compile`.

    Args:
        model: The model.

    Returns:
        The counts by name; the empty name is the model itself.

    Raises:
        ValueError: A parameter has no shape yet.

    Example:
        >>> parameter_count(nn.Sequential(nn.Linear(2, 3)))
        {'': 9, '0': 9, '0.weight': 6, '0.bias': 3}
    """
    require_shapes(model)
    counts: dict[str, int] = {}
    with uncompiled(model) as plain:
        for name, module in plain.named_modules():
            counts[name] = sum(param.numel() for param in module.parameters())
            for own, param in module.named_parameters(prefix=name, recurse=False):
                counts[own] = param.numel()
    return counts


def parameter_count_table(model: nn.Module, max_depth: int = 3) -> str:
    """Return a table of the counts of each module and parameter.

    Args:
        model: The model.
        max_depth: The depth to show; 1 shows the model and its direct parts.

    Raises:
        ValueError: A parameter has no shape yet.

    Example:
        >>> print(parameter_count_table(nn.Linear(2, 3)))
        name      count  shape
        -             9
          weight      6  (3, 2)
          bias        3  (3,)
    """
    counts = parameter_count(model)
    shapes = {plain_name(name): str(tuple(param.shape)) for name, param in model.named_parameters()}
    lines = [["name", "count", "shape"]]
    for name, count in counts.items():
        depth = name.count(".") + 1 if name else 0
        if depth <= max_depth:
            label = "  " * depth + (name.rpartition(".")[2] or "-")
            lines.append([label, short_number(count), shapes.get(name, "")])
    width = max(len(line[1]) for line in lines)
    return table([[a, b.rjust(width), c] for a, b, c in lines], left=3)
