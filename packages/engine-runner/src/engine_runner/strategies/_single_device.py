"""One process, one device."""

from torch import nn

from engine_registry import STRATEGIES
from engine_runner.strategies._base import Strategy


@STRATEGIES.register_module()
class SingleDevice(Strategy):
    """Train on the one device of this process.

    Example:
        >>> import torch
        >>> strategy = SingleDevice(torch.device("cpu"))
        >>> strategy.wrap(nn.Linear(2, 1)).weight.device
        device(type='cpu')
    """

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model on the device."""
        return model.to(self.device)

    def synchronize(self, model: nn.Module) -> None:
        """Leave the model alone: there is one copy."""
