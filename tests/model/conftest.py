"""Models, optimizer wrappers and processes that several tests use."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from engine_model import BaseModel

if TYPE_CHECKING:
    from conftest import Scripts

RankResults = dict[str, list[dict[str, Any]]]
RANK_CASES = ("weights_ranks.py", "wrapper_ranks.py")


class PlainUpdate:
    """A minimal optimizer wrapper, without precision and accumulation."""

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
def rank_results(tmp_path_factory: pytest.TempPathFactory, scripts: "Scripts") -> RankResults:
    """Run the cases of all files in two processes; return the results by file and rank."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / "model_ranks"
    folder.mkdir(exist_ok=True)
    # Starting the processes takes most of the time, so the workers of pytest-xdist share one run.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((folder / f"{rank}.pt").exists() for rank in range(2)):
            _run_ranks(scripts, folder)
    ranks = [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]
    return {cases: [rank[cases] for rank in ranks] for cases in RANK_CASES}


def _run_ranks(scripts: "Scripts", folder: Path) -> None:
    (folder / "store").unlink(missing_ok=True)  # of a run that failed
    here = Path(__file__).parent
    files = [here / cases for cases in RANK_CASES]
    script = here / "run_ranks.py"
    for rank in scripts.run_ranks(script, folder, *files, folder=folder, strict=True):
        assert rank.returncode == 0, rank.stdout
