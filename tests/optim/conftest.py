"""Models, data, schedules and processes that several tests use."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

import engine_optim

if TYPE_CHECKING:
    from conftest import Scripts

Batches = list[tuple[Tensor, Tensor]]

# Settings for each schedule that needs no metric; all of them change the value within nine steps.
FAMILIES: dict[str, dict[str, Any]] = {
    "Constant": {"factor": 0.5, "end": 6},
    "Linear": {"start_factor": 0.2, "end": 6},
    "Exponential": {"gamma": 0.9},
    "Step": {"step_size": 2},
    "MultiStep": {"milestones": [2, 5]},
    "Poly": {"power": 2.0, "end": 8},
    "CosineAnnealing": {"T_max": 5, "eta_min_ratio": 0.1},
    "CosineRestart": {"periods": [3, 4], "restart_weights": [1, 0.5], "eta_min_ratio": 0.1},
    "OneCycle": {"eta_max": 0.5, "total_steps": 9},
}
FACES = [
    (family, suffix)
    for family in FAMILIES
    for suffix in ("LR", "Momentum", "ParamScheduler")
    if (family, suffix) != ("OneCycle", "Momentum")  # not implemented
]


@pytest.fixture
def make_model() -> Callable[[], nn.Sequential]:
    """Return a function that builds the same small network each time."""

    def make() -> nn.Sequential:
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))

    return make


@pytest.fixture
def batches() -> Batches:
    generator = torch.Generator().manual_seed(5)
    return [
        (torch.randn(6, 4, generator=generator), torch.randint(2, (6,), generator=generator))
        for _ in range(10)
    ]


@pytest.fixture
def run_ranks(tmp_path: Path, scripts: "Scripts") -> Callable[..., None]:
    """Run a script of this folder in several processes: ``script rank world_size init_method``."""

    def run(script: str, world_size: int) -> None:
        path = Path(__file__).parent / script
        init = f"file://{tmp_path / 'group'}"
        ranks = scripts.run_ranks(path, init, folder=tmp_path, size=world_size, strict=True)
        assert [rank.returncode for rank in ranks] == [0] * world_size, ranks

    return run


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Run the test for each schedule."""
    return str(request.param)


@pytest.fixture(params=FACES, ids="".join)
def family_and_suffix(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Run the test for each class of each schedule."""
    family, suffix = request.param
    return family, suffix


# For the session, because tests over random settings call these many times.
@pytest.fixture(scope="session")
def sgd() -> Callable[..., SGD]:
    """Return a function that makes an optimizer of one group."""
    return lambda lr=0.1, **options: SGD(nn.Linear(1, 1).parameters(), lr=lr, **options)


@pytest.fixture(scope="session")
def values() -> Callable[..., list[Any]]:
    """Return a function that lists the values of the first group, one before each step."""

    def collect(scheduler: Any, count: int, name: str = "lr") -> list[Any]:
        result = []
        for _ in range(count):
            result.append(scheduler.optimizer.param_groups[0][name])
            scheduler.step()
        return result

    return collect


@pytest.fixture(scope="session")
def build() -> Callable[..., Any]:
    """Return a function that builds a class of a family; the generic one sets weight decay."""

    def make(family: str, suffix: str, optimizer: Any, **more: Any) -> Any:
        kind = getattr(engine_optim, family + suffix)
        name = ("weight_decay",) if suffix == "ParamScheduler" else ()
        return kind(optimizer, *name, **FAMILIES[family], **more)

    return make
