"""Synchronized batch normalization in a run of one process becomes an ordinary one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from engine_model import BaseModel
from engine_runner import Runner


class Normed(BaseModel):
    """A linear layer with a synchronized batch normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 1), nn.SyncBatchNorm(1))

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.layers(x)
        return {"loss": (predicted - y).square().mean()} if mode == "loss" else predicted


@pytest.mark.parametrize("sync_bn", [None, "torch"], ids=["in the model", "as a setting too"])
def test_one_process_trains_with_ordinary_batch_normalization(
    toy_run: Callable[..., Runner], tmp_path: Path, sync_bn: str | None
) -> None:
    runner = toy_run(model=Normed(), sync_bn=sync_bn)
    runner.train()
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in runner.model.modules())
    (log,) = (tmp_path / "work").glob("*/*.log")
    assert log.read_text().count("SyncBatchNorm is replaced by BatchNorm") == 1
    assert list(runner.model.state_dict()) == list(Normed().state_dict())
