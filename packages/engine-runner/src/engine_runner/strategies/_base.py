"""How a model is placed, wrapped, saved and loaded."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from engine_model.weights import LoadReport, get_state_dict, load_state_dict, weights_to_cpu


class Strategy(ABC):
    """What differs between one device and many, and between whole and sharded models.

    Args:
        device: Where this process computes.

    Example:
        >>> class InDouble(Strategy):
        ...     def wrap(self, model):
        ...         return model.double().to(self.device)
        ...     def synchronize(self, model):
        ...         return None
        >>> InDouble(torch.device("cpu")).wrap(nn.Linear(1, 1)).weight.dtype
        torch.float64
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @abstractmethod
    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model on its device, ready for the steps of a loop."""

    @abstractmethod
    def synchronize(self, model: nn.Module) -> None:
        """Make the weights equal on all ranks, after each has initialised its own."""

    def model_state(self, model: nn.Module) -> dict[str, Any]:
        """Return the whole model's weights on the CPU, named as without any wrapper."""
        return dict(weights_to_cpu(get_state_dict(self.unwrap(model))))

    def load_model_state(
        self, model: nn.Module, state: Mapping[str, Any], *, strict: bool = False
    ) -> LoadReport:
        """Load weights that are named as without any wrapper, and return what did not fit."""
        return load_state_dict(self.unwrap(model), dict(state), strict=strict)

    def unwrap(self, model: nn.Module) -> nn.Module:
        """Return the model inside its wrapper."""
        return model
