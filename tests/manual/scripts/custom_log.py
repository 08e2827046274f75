"""Log a number that the model computes on the way (manual, 5614)."""

from typing import Any

from torch import Tensor, nn
from toy import toy_dataloader

from engine_logging import MessageHub
from engine_model import BaseModel
from engine_runner import Runner


class ToyModel(BaseModel):
    """One linear layer that publishes the sum of the distances."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, img: Tensor, label: Tensor, mode: str) -> Any:
        """Return the loss."""
        loss_tmp = (self.linear(img) - label).abs()
        message_hub = MessageHub.get_current_instance()
        message_hub.update_scalar("train/loss_tmp", loss_tmp.sum())
        return {"loss": loss_tmp.pow(2)}


runner = Runner(
    model=ToyModel(),
    work_dir="tmp_dir",
    train_dataloader=toy_dataloader(),
    train_cfg={"by_epoch": True, "max_epochs": 1},
    optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}},
    log_processor={
        "custom_cfg": [{"data_src": "loss_tmp", "window_size": 10, "method_name": "mean"}]
    },
)
runner.train()
