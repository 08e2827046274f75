"""The toy data and model that several scripts of the manual train."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from engine_model import BaseModel


def toy_dataloader() -> DataLoader[Any]:
    """Return 25 batches of two samples, each a one and the label one."""
    dataset: Any = [(torch.ones(1, 1), torch.ones(1, 1))] * 50
    return DataLoader(dataset, batch_size=2)


class ToyModel(BaseModel):
    """One linear layer with two losses."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, img: Tensor, label: Tensor, mode: str) -> Any:
        """Return the two losses, or one prediction per sample."""
        feat = self.linear(img)
        if mode == "predict":
            return list(feat)
        return {"loss1": (feat - label).pow(2), "loss2": (feat - label).abs()}
