"""Accumulated gradients equal those of a loop by hand, the last window included."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.conftest import Line, Regressor
from torch import Tensor, nn
from torch.utils.data import DataLoader

from engine_model import BaseModel
from engine_optim import OptimWrapper, OptimWrapperDict
from engine_runner import Runner

MakeRunner = Callable[..., Runner]


class Fit(Regressor):
    """Without dropout, so that a loop by hand needs no random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.0)


def _by_hand(batches: Iterator[Any], total: int, window: int) -> dict[str, Tensor]:
    """Train in windows; a last one that is shorter has the mean of its own batches."""
    model = Fit()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for begin in range(0, total, window):
        size = min(window, total - begin)
        optimizer.zero_grad()
        for _ in range(size):
            x, y = next(batches)
            loss = model(x, y, mode="loss")["loss"]
            (loss / size).backward()
        optimizer.step()
    return model.state_dict()


def _batches(most: int | None = None) -> Iterator[Any]:
    data = list(DataLoader(Line(), 3))
    while True:
        yield from data[:most]


CASES = {
    "epochs": ({"by_epoch": True, "max_epochs": 2}, 8, None),
    "epochs, window over their end": ({"by_epoch": True, "max_epochs": 1}, 4, None),
    "iterations": ({"by_epoch": False, "max_iters": 7}, 7, None),
    "limited epochs": ({"by_epoch": True, "max_epochs": 2, "num_batch_per_epoch": 2}, 4, 2),
    "limited passes": ({"by_epoch": False, "max_iters": 5, "num_batch_per_epoch": 3}, 5, 3),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form", ["config", "torch loader"])
def test_last_window_has_the_mean_of_its_own_batches(
    make_runner: MakeRunner, case: str, form: str
) -> None:
    train_cfg, total, most = CASES[case]
    config = {
        "dataset": Line(),
        "batch_size": 3,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
    }

    runner = make_runner(
        model=Fit(),
        train_dataloader=config if form == "config" else DataLoader(Line(), 3),
        train_cfg=train_cfg,
        param_scheduler=None,
        optim_wrapper={
            "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9},
            "accumulative_counts": 3,
        },
    )
    runner.train()

    for name, value in _by_hand(_batches(most), total, 3).items():
        torch.testing.assert_close(runner.model.state_dict()[name], value)


class Pair(BaseModel):
    """Two layers, each with an optimizer of its own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.first, self.second = nn.Linear(1, 1), nn.Linear(1, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        return self.second(self.first(x)), y

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        x, y = self.data_preprocessor(data, True)
        losses = {}
        for name in ("first", "second"):
            loss = (self.second(self.first(x)) - y).square().mean()
            optim_wrapper[name].update_params(loss)
            losses[f"loss_{name}"] = loss
        return losses


def _optimizers(model: Pair) -> OptimWrapperDict:
    return OptimWrapperDict(
        first=OptimWrapper(torch.optim.SGD(model.first.parameters(), lr=0.1)),
        second=OptimWrapper(torch.optim.SGD(model.second.parameters(), lr=0.01)),
    )


def test_optimizers_have_schedules_by_name(make_runner: MakeRunner) -> None:
    model = Pair()
    schedules = {
        "first": {"type": "MultiStepLR", "milestones": [1], "gamma": 0.5},
        "second": [
            {"type": "LinearLR", "start_factor": 0.1, "end": 4, "by_epoch": False},
            {"type": "StepLR", "step_size": 1, "gamma": 0.1},
        ],
    }

    runner = make_runner(model=model, optim_wrapper=_optimizers(model), param_scheduler=schedules)
    runner.train()

    assert {name: len(group) for name, group in runner.param_schedulers.items()} == {
        "first": 1,
        "second": 2,
    }
    rates = runner.optim_wrapper.get_lr()
    assert rates["first.lr"] == [pytest.approx(0.05)]
    assert rates["second.lr"] == [pytest.approx(0.01 * 0.1**2)]


def test_optimizers_and_their_schedules_resume(make_runner: MakeRunner) -> None:
    def run(epochs: int, work_dir: str, **changes: Any) -> Runner:
        model = Pair()
        runner = make_runner(
            model=model,
            optim_wrapper=_optimizers(model),
            param_scheduler={
                "first": {"type": "StepLR", "step_size": 1, "gamma": 0.5},
                "second": {"type": "ExponentialLR", "gamma": 0.9},
            },
            train_cfg={"by_epoch": True, "max_epochs": epochs},
            work_dir=work_dir,
            **changes,
        )
        runner.train()
        return runner

    base = make_runner().work_dir
    whole = run(3, f"{base}/whole")
    run(1, f"{base}/part")
    resumed = run(3, f"{base}/part", resume=True)

    assert resumed.optim_wrapper.get_lr() == whole.optim_wrapper.get_lr()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value)


@pytest.mark.parametrize("window", [2, 3])
def test_window_of_an_optimizer_that_the_training_cuts_is_a_warning(
    make_runner: MakeRunner, window: int
) -> None:
    model = Pair()
    optimizers = _optimizers(model)
    first = OptimWrapper(optimizers["first"].optimizer, accumulative_counts=window)
    runner = make_runner(
        model=model, optim_wrapper=OptimWrapperDict(first=first, second=optimizers["second"])
    )
    runner.train()

    cut = runner.iter % window
    text = next(Path(runner.log_dir).glob("*.log")).read_text()
    message = f"window of optimizer 'first': the gradients of its last {cut} calls are not used"
    assert (message in text) == bool(cut)
    assert "window of optimizer 'second'" not in text
