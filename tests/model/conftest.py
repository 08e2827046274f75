"""Models and stand-ins for their surroundings that several tests use."""

import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_model import BaseModel


class PlainUpdate:
    """The least that a training step needs: an optimizer, no precision, no accumulation."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.contexts: list[nn.Module] = []

    @contextmanager
    def optim_context(self, model: nn.Module, /) -> Iterator[None]:
        self.contexts.append(model)
        yield

    def update_params(self, loss: Tensor, /) -> None:
        torch.autograd.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()


class LinearModel(BaseModel):
    """A linear model that returns its losses unreduced and its predictions with the targets."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.linear = nn.Linear(2, 1)

    def forward(self, inputs: Any, targets: Any = None, mode: str = "tensor") -> Any:
        outputs = self.linear(inputs)
        if mode == "loss":
            return {
                "loss_square": (outputs - targets).square(),
                "loss_parts": [(outputs - targets).abs(), outputs.square()],
                "error": (outputs - targets).abs().mean(),
            }
        return (outputs, targets) if mode == "predict" else outputs


@pytest.fixture
def linear_model() -> BaseModel:
    return LinearModel()


@pytest.fixture
def make_update() -> Callable[[nn.Module], PlainUpdate]:
    return lambda model: PlainUpdate(torch.optim.SGD(model.parameters(), lr=0.1))


@pytest.fixture
def init_log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that gives the lines the package has logged so far."""
    caplog.set_level(logging.INFO, logger="engine.model")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture(scope="session")
def run_ranks() -> Callable[[str], list[dict[str, Any]]]:
    """Return a function that runs the cases of a file in two processes, and gives their results."""
    folder = Path(__file__).parent

    def run(cases: str) -> list[dict[str, Any]]:
        script = [sys.executable, "-W", "error", str(folder / "run_ranks.py"), str(folder / cases)]
        with tempfile.TemporaryDirectory() as shared:
            ranks = [
                subprocess.Popen(
                    [*script, str(rank), "2", shared], stderr=subprocess.PIPE, text=True
                )
                for rank in range(2)
            ]
            try:
                for rank in ranks:
                    _, errors = rank.communicate(timeout=600)
                    assert rank.returncode == 0, errors
            finally:
                for rank in ranks:
                    rank.kill()
                    rank.communicate()
            return [torch.load(f"{shared}/{rank}.pt", weights_only=False) for rank in range(2)]

    return run
