"""The parts that the configs of test_command_line.py and test_work_dirs.py name."""

from typing import Any

import torch
from torch import Tensor, nn

from engine_model import BaseModel
from engine_registry import DATASETS, MODELS

CONFIG = """
custom_imports = dict(imports=["line_task"])
data_root = "data/"
dataset_type = "Line"
model = dict(type="Layer")
train_dataloader = dict(
    dataset=dict(type=dataset_type), batch_size=2,
    sampler=dict(type="DefaultSampler", shuffle=False), collate_fn=dict(type="default_collate"))
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
"""


@DATASETS.register_module(force=True)
class Line(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Eight points of a line."""

    def __init__(self) -> None:
        self.x = torch.linspace(-1, 1, 8)[:, None]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.x[index], 2 * self.x[index]


@MODELS.register_module(force=True)
class Layer(BaseModel):
    """A linear layer, which may raise when it is built or at a step."""

    def __init__(self, fails_at: str = "") -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.fails_at = fails_at
        if fails_at == "build":
            raise ValueError("this layer has no width")

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        if self.fails_at == "step":
            raise ValueError("this layer takes no step")
        predicted = self.linear(x)
        return {"loss": (predicted - y).square().mean()} if mode == "loss" else (predicted, y)
