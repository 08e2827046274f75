"""Register every optimizer of torch under its name."""

import torch

from engine_optim._libraries import LibraryOptimizer
from engine_registry import OPTIMIZERS


def _register() -> list[str]:
    """Register the optimizers of torch; return their names."""
    names = []
    for name, item in vars(torch.optim).items():
        is_class = isinstance(item, type) and issubclass(item, torch.optim.Optimizer)
        if is_class and item is not torch.optim.Optimizer and not name.startswith("_"):
            OPTIMIZERS.register_module(name=name, module=item)
            names.append(name)
    return names


#: The names of torch's optimizers, which are all registered.
TORCH_OPTIMIZERS: list[str] = _register()

# Not by its class: torch takes a second to import it.
OPTIMIZERS.register_module(
    name="ZeroRedundancyOptimizer",
    module=LibraryOptimizer("ZeroRedundancyOptimizer", "engine_optim._zero", "engine-optim"),
)
