"""A run resumed inside an accumulation window equals the uninterrupted one, bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_model import BaseModel
from engine_optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from engine_runner import Hook, Runner

MakeRun = Callable[..., Runner]


class Crash(Exception):
    """End a run in the middle."""


class CrashAfter(Hook):
    """End the run after some iterations."""

    priority = "LOWEST"

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter + 1 == self.iterations:
            raise Crash


class Rivals(BaseModel):
    """Two layers, each with an optimizer; the second one is updated twice per iteration.

    Each loss is backpropagated through its own layer, or through both if ``shared``.
    """

    def __init__(self, *, shared: bool) -> None:
        super().__init__()
        self.shared = shared
        torch.manual_seed(3)
        self.first, self.second = nn.Linear(1, 2), nn.Linear(2, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        return self.second(self.first(x).tanh())

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        x, y = self.data_preprocessor(data)
        for name in ("first", "second", "second"):
            with optim_wrapper[name].optim_context(self):
                loss = (self(x, y) - y).square().mean()
            other = self.second if name == "first" else self.first
            other.requires_grad_(self.shared)
            with optim_wrapper[name].optim_context(self):
                loss = (self(x, y) - y).square().mean()
            optim_wrapper[name].update_params(loss)
            other.requires_grad_(True)
        return {"loss": loss.detach()}


def every_iteration() -> dict[str, Any]:
    """Return the default hooks with a checkpoint at each iteration."""
    return {"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}}


def weights(runner: Runner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in runner.model.state_dict().items()}


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def split(make: Callable[..., Runner], folder: Path, stop: int, **second: Any) -> Runner:
    """Train, crash after some iterations, and resume in the same folder."""
    with pytest.raises(Crash):
        make(work_dir=str(folder), custom_hooks=[CrashAfter(stop)]).train()
    runner = make(work_dir=str(folder), resume=True, **second)
    runner.train()
    return runner


WRAPPERS: dict[str, dict[str, Any]] = {
    "plain": {"optimizer": {"type": "Adam", "lr": 0.05}, "clip_grad": {"max_norm": 0.5}},
    "bfloat16": {
        "type": "AmpOptimWrapper",
        "dtype": "bfloat16",
        "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9},
    },
    "float16": {
        "type": "AmpOptimWrapper",
        # The scale changes after each step, so that a lost scaler state shows.
        "loss_scale": {"init_scale": 1024.0, "growth_interval": 1},
        "optimizer": {"type": "SGD", "lr": 0.1},
    },
}


# Two epochs of four batches: windows of three cross the epochs, and the last one has two calls.
@pytest.mark.parametrize(
    ("kind", "counts"),
    [("plain", 2), ("plain", 3), ("plain", 4), ("bfloat16", 3), ("float16", 3)],
    ids=lambda value: str(value),
)
def test_accumulation_resumes_exactly_at_each_iteration(
    toy_run: MakeRun, tmp_path: Path, kind: str, counts: int
) -> None:
    def make(**changes: Any) -> Runner:
        wrapper = {**WRAPPERS[kind], "accumulative_counts": counts}
        return toy_run(optim_wrapper=wrapper, default_hooks=every_iteration(), **changes)

    whole = make(work_dir=str(tmp_path / "whole"))
    whole.train()

    for stop in (1, 2, 5, 7) if kind == "plain" else (2, 7):
        resumed = split(make, tmp_path / str(stop), stop)
        assert_equal(weights(resumed), weights(whole))
        assert resumed.optim_wrapper.inner_count == 8


@pytest.mark.parametrize("shared", [False, True], ids=["own-losses", "shared-losses"])
def test_accumulation_of_several_optimizers_resumes_exactly(
    toy_run: MakeRun, tmp_path: Path, shared: bool
) -> None:
    def make(**changes: Any) -> Runner:
        model = Rivals(shared=shared)
        wrappers = OptimWrapperDict(
            first=OptimWrapper(torch.optim.SGD(model.first.parameters(), 0.1), 3),
            second=AmpOptimWrapper(
                dtype="bfloat16",
                optimizer=torch.optim.Adam(model.second.parameters(), 0.05),
                accumulative_counts=4,
            ),
        )
        hooks = every_iteration()
        return toy_run(model=model, optim_wrapper=wrappers, default_hooks=hooks, **changes)

    whole = make(work_dir=str(tmp_path / "whole"))
    whole.train()

    for stop in (1, 3, 6):
        resumed = split(make, tmp_path / str(stop), stop)
        assert_equal(weights(resumed), weights(whole))


def test_checkpoint_outside_of_a_window_holds_no_gradient(toy_run: MakeRun, tmp_path: Path) -> None:
    wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 3}
    toy_run(optim_wrapper=wrapper, default_hooks=every_iteration()).train()

    held = [
        len(torch.load(tmp_path / f"work/iter_{n}.pth")["accumulation"]["gradients"])
        for n in range(1, 9)
    ]

    assert held == [2, 2, 0, 2, 2, 0, 2, 0]


@pytest.mark.parametrize(
    ("counts", "windows"),
    [
        (1, [[0, 1, 2], [3, 4, 5], [6], [7]]),
        (2, [[0, 1, 2], [3, 4, 5], [6, 7]]),
        (4, [[0, 1, 2], [3, 4, 5, 6, 7]]),
    ],
    ids=["to-1", "to-2", "to-4"],
)
def test_other_window_after_a_resume_averages_all_its_gradients(
    toy_run: MakeRun, tmp_path: Path, counts: int, windows: list[list[int]]
) -> None:
    """Saved after iteration 5, the second of a window of three."""

    def make(counts: int = 3, **changes: Any) -> Runner:
        wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": counts}
        return toy_run(optim_wrapper=wrapper, default_hooks=every_iteration(), **changes)

    resumed = split(make, tmp_path, 5, counts=counts)

    assert_equal(weights(resumed), by_hand(toy_run().model, windows))
    (path,) = tmp_path.glob(f"{resumed.timestamp}/*.log")
    assert f"averages the gradients of {len(windows[1])} iterations" in path.read_text()


def by_hand(model: nn.Module, windows: list[list[int]]) -> dict[str, Tensor]:
    """Return the weights of a loop that averages the gradients of each window."""
    device = next(model.parameters()).device
    points = torch.linspace(-1, 1, 8, device=device)[:, None]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for window in windows:
        for number in window:
            x = points[2 * (number % 4) :][:2]
            (model(x, 2 * x, "loss")["loss"] / len(window)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return dict(model.state_dict())
