"""Accumulated gradients equal those of a loop by hand, the last window included."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.conftest import Line, Regressor
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from engine_model import BaseModel
from engine_optim import OptimWrapper, OptimWrapperDict
from engine_runner import Hook, Runner

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


def _pair_by_hand(total: int, windows: dict[str, int]) -> Pair:
    """Train a pair; each optimizer steps with the mean of its window, a shorter last one too."""
    model = Pair()
    optimizers = {
        "first": torch.optim.SGD(model.first.parameters(), lr=0.1),
        "second": torch.optim.SGD(model.second.parameters(), lr=0.01),
    }
    batches = _batches()
    for index in range(total):
        x, y = next(batches)
        for name, optimizer in optimizers.items():
            window = windows[name]
            size = min(window, total - index + index % window)
            loss = (model.second(model.first(x)) - y).square().mean() / size
            params = list(getattr(model, name).parameters())
            for param, gradient in zip(params, torch.autograd.grad(loss, params), strict=True):
                param.grad = gradient if param.grad is None else param.grad + gradient
            if (index + 1) % window == 0:
                optimizer.step()
                optimizer.zero_grad()
    for optimizer in optimizers.values():  # one without a gradient changes nothing
        optimizer.step()
    return model


class Apart(Pair):
    """A pair whose losses reach only the layer of their optimizer."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        x, y = self.data_preprocessor(data, True)
        losses = {}
        for name in ("first", "second"):
            other = self.second if name == "first" else self.first
            other.requires_grad_(False)
            loss = (self.second(self.first(x)) - y).square().mean()
            optim_wrapper[name].update_params(loss)
            other.requires_grad_(True)
            losses[f"loss_{name}"] = loss
        return losses


@pytest.mark.parametrize(
    "train_cfg",
    [{"by_epoch": False, "max_iters": 7}, {"by_epoch": True, "max_epochs": 1}],
    ids=["iterations", "epochs"],
)
@pytest.mark.parametrize("windows", [(3, 2), (5, 1), (2, 9)])
def test_last_window_of_each_of_several_optimizers(
    make_runner: MakeRunner, train_cfg: dict[str, Any], windows: tuple[int, int]
) -> None:
    model = Apart()
    wrappers = {
        name: OptimWrapper(wrapper.optimizer, accumulative_counts=window)
        for (name, wrapper), window in zip(_optimizers(model).items(), windows, strict=True)
    }
    runner = make_runner(
        model=model,
        train_dataloader=DataLoader(Line(), 3),
        optim_wrapper=OptimWrapperDict(**wrappers),
        param_scheduler=None,
        train_cfg=train_cfg,
    )
    runner.train()

    expected = _pair_by_hand(runner.iter, dict(zip(wrappers, windows, strict=True)))
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(runner.model.state_dict()[name], value)
    assert [wrapper.accumulation()["calls"] for wrapper in wrappers.values()] == [0, 0]


class Stream(IterableDataset[Any]):
    """Points without a length."""

    def __iter__(self) -> Iterator[Any]:
        return iter([Line()[index] for index in range(len(Line()))])


def test_last_window_of_data_without_a_length(make_runner: MakeRunner) -> None:
    runner = make_runner(
        model=Fit(),
        train_dataloader=DataLoader(Stream(), 3),
        train_cfg={"by_epoch": True, "max_epochs": 2},
        param_scheduler=None,
        optim_wrapper={
            "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9},
            "accumulative_counts": 3,
        },
    )
    runner.train()

    assert runner.iter == 8
    saved = torch.load(Path(runner.work_dir, "epoch_2.pth"), weights_only=True)["state_dict"]
    for name, value in _by_hand(_batches(), 8, 3).items():
        torch.testing.assert_close(runner.model.state_dict()[name], value)
        assert torch.equal(saved[name], runner.model.state_dict()[name])


def test_window_is_not_finished_where_a_training_is_stopped_early(make_runner: MakeRunner) -> None:
    class Stop(Hook):
        def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
            runner.train_loop.stop_training = True

    runner = make_runner(
        train_cfg={"by_epoch": False, "max_iters": 9},
        custom_hooks=[Stop()],
        param_scheduler=None,
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 3},
    )
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()

    assert runner.iter == 1
    for name, value in before.items():
        assert torch.equal(runner.model.state_dict()[name], value)
