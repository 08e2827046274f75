"""``BaseModel._run_forward`` is called by each step, and may be overridden."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from engine_model import BaseModel, MMDistributedDataParallel
from engine_optim import OptimWrapper


class Doubled(BaseModel):
    """Passes on twice the inputs, and notes the modes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.linear.weight)
        self.modes: list[str] = []

    def forward(self, x: Tensor, mode: str = "tensor") -> Any:
        out = self.linear(x)
        return {"loss": out.mean()} if mode == "loss" else out

    def _run_forward(self, data: Any, mode: str) -> Any:
        self.modes.append(mode)
        return super()._run_forward([2 * data[0]], mode)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


def _steps(model: Any, own: Doubled) -> None:
    wrapper = OptimWrapper(torch.optim.SGD(own.parameters(), lr=1.0))
    data = [torch.full((4, 1), 3.0)]

    losses = model.train_step(data, optim_wrapper=wrapper)

    assert losses["loss"].item() == 6
    assert own.linear.weight.item() == 1 - 6  # the gradient is that of the doubled inputs
    assert torch.equal(model.val_step(data), torch.full((4, 1), -30.0))
    assert torch.equal(model.test_step(data), torch.full((4, 1), -30.0))
    assert own.modes == ["loss", "predict", "predict"]


def test_each_step_calls_run_forward() -> None:
    model = Doubled()
    _steps(model, model)


def test_wrapper_trains_with_the_models_run_forward(alone: None) -> None:
    model = Doubled()
    wrapper = MMDistributedDataParallel(model)
    calls: list[str] = []
    wrapper.register_forward_hook(lambda *_: calls.append("through the wrapper"))

    _steps(wrapper, model)

    assert calls == ["through the wrapper"]  # which averages the gradients
    assert type(model) is Doubled


def test_wrapper_of_a_model_without_its_own_calls_itself(alone: None) -> None:
    class Plain(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(1, 1)

        def forward(self, x: Tensor, mode: str = "tensor") -> Any:
            return {"loss": self.linear(x).mean()}

    model = Plain()
    wrapper = MMDistributedDataParallel(model)
    update = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1.0))

    assert "loss" in wrapper.train_step([torch.ones(2, 1)], optim_wrapper=update)
