"""Initialize a model with the weights of a file (manual, 4668)."""

from typing import Any

import torch
from torch import nn

from engine_model import BaseModule


class ToyNet(BaseModule):
    """One layer."""

    def __init__(self, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.conv1 = nn.Linear(1, 1)


saved = ToyNet()
torch.save(saved.state_dict(), "./pretrained.pth")
toy_net = ToyNet(init_cfg={"type": "Pretrained", "checkpoint": "./pretrained.pth"})
toy_net.init_weights()
print("equal", torch.equal(saved.conv1.weight, toy_net.conv1.weight))
