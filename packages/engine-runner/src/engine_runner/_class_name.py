"""The name of a model's class."""

from torch import nn


def class_name(model: nn.Module) -> str:
    """Return the name of the class as it was written, also of a sharded model.

    Args:
        model: The model, without a wrapper.

    Example:
        >>> class_name(nn.Linear(1, 1))
        'Linear'
    """
    # fully_shard replaces the class by one that derives from FSDPModule and from the original.
    kinds = type(model).__mro__
    return (kinds[2] if kinds[1].__name__ == "FSDPModule" else kinds[0]).__name__
