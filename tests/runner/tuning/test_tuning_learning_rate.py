"""The search for a learning rate: its result, and what it leaves as it was."""

import copy
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader

from engine_config import Config
from engine_model import BaseModel
from engine_optim import OptimWrapper, OptimWrapperDict
from engine_runner import Hook, Runner
from engine_runner._errors import SettingsError
from engine_runner.tuning import find_learning_rate
from engine_runner.tuning._suggest import smoothed, suggested_rate

MakeRunner = Callable[..., Runner]
Settings = Callable[..., dict[str, Any]]
Command = Callable[..., Any]


class Net(BaseModel):
    """A model with all kinds of state: weights, buffers, random numbers and a counter."""

    def __init__(self) -> None:
        super().__init__(init_cfg={"type": "Normal", "layer": "Linear", "std": 0.5})
        self.linear = nn.Linear(1, 4)
        self.norm = nn.BatchNorm1d(4)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(4, 1)
        self.register_buffer("seen", torch.zeros(()), persistent=False)
        self.seen: Tensor
        self.steps = 0
        self.rates: list[list[float]] = []

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.head(self.dropout(self.norm(self.linear(x))))
        if mode == "loss":
            self.steps += 1
            self.seen += len(x)
            return {"loss": (predicted.float() - y).square().mean()}
        return (predicted, y) if mode == "predict" else predicted

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        self.rates.append([rate for rates in optim_wrapper.get_lr().values() for rate in rates])
        return super().train_step(data, optim_wrapper)


def _state(runner: Runner) -> dict[str, Any]:
    return copy.deepcopy(
        {
            "weights": runner.model.state_dict(),
            "seen": runner.model.seen,
            "steps": runner.model.steps,
            "training": [module.training for module in runner.model.modules()],
            "optimizer": runner.optim_wrapper.state_dict(),
            "random": torch.get_rng_state(),
            "gradients": [param.grad for param in runner.model.parameters()],
        }
    )


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def test_rates_rise_by_a_factor_and_the_loss_is_that_of_the_model(make_runner: MakeRunner) -> None:
    runner = make_runner(model=Net())

    curve = find_learning_rate(runner, 1e-4, 1.0, 9)

    assert curve.rates == pytest.approx([10 ** (-4 + n / 2) for n in range(len(curve.rates))])
    assert [rate for (rate,) in runner.model.rates] == pytest.approx(curve.rates)
    assert len(curve.losses) == len(curve.smoothed) == len(curve.rates)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="full precision"),
        pytest.param(
            {"optim_wrapper": {"type": "AmpOptimWrapper", "optimizer": {"type": "Adam"}}},
            id="float16",
        ),
        pytest.param(
            {"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 3}},
            id="accumulation",
        ),
    ],
)
def test_runner_is_left_as_it_was(make_runner: MakeRunner, changes: dict[str, Any]) -> None:
    runner = make_runner(model=Net(), **changes)
    before = _state(runner)

    find_learning_rate(runner, num_iters=30)

    assert _equal(_state(runner), before)


def test_training_after_the_search_equals_one_without(
    make_runner: MakeRunner, tmp_path: Path
) -> None:
    def train(name: str, *, search: bool) -> dict[str, Tensor]:
        torch.manual_seed(0)
        runner = make_runner(model=Net(), work_dir=str(tmp_path / name))
        if search:
            find_learning_rate(runner, num_iters=30)
        state: dict[str, Tensor] = runner.train().state_dict()
        return state

    assert _equal(train("searched", search=True), train("plain", search=False))


def test_search_after_a_training_begins_with_its_weights(make_runner: MakeRunner) -> None:
    wrapper = {"optimizer": {"type": "SGD", "lr": 0.02}}
    runner = make_runner(model=Net(), optim_wrapper=wrapper, param_scheduler=None)
    first = find_learning_rate(runner, 1e-8, 1e-7, 10)
    runner.train()
    before = _state(runner)

    curve = find_learning_rate(runner, 1e-8, 1e-7, 10)

    assert curve.smoothed[0] < first.smoothed[0]
    assert _equal(_state(runner), before)


def test_search_begins_with_the_weights_of_load_from(
    make_runner: MakeRunner, tmp_path: Path
) -> None:
    class Constant(Net):
        def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
            return {"loss": self.head.bias.square().sum() + 0 * self.head(self.linear(x)).sum()}

    model = Constant()
    weights = {name: torch.full_like(one, 7.0) for name, one in model.state_dict().items()}
    torch.save({"state_dict": weights, "meta": {}}, tmp_path / "weights.pth")
    runner = make_runner(model=model, load_from=str(tmp_path / "weights.pth"))

    curve = find_learning_rate(runner, 1e-8, 1e-7, 5)

    assert curve.losses[0] == pytest.approx(49.0)
    assert runner.load_report is None


def test_groups_keep_their_ratios(make_runner: MakeRunner) -> None:
    wrapper = {
        "optimizer": {"type": "SGD", "lr": 0.1},
        "paramwise_cfg": {"custom_keys": {"head": {"lr_mult": 10.0}}},
    }
    runner = make_runner(model=Net(), optim_wrapper=wrapper)

    find_learning_rate(runner, 1e-4, 1e-2, 3)

    for rates, reference in zip(runner.model.rates, [1e-4, 1e-3, 1e-2], strict=True):
        assert sorted({round(rate / reference, 6) for rate in rates}) == [1.0, 10.0]


class Two(Net):
    """A model with an optimizer for each of its layers."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        self.rates.append([rate for rates in optim_wrapper.get_lr().values() for rate in rates])
        loss = self(*data, mode="loss")["loss"]
        loss.backward()
        for wrapper in optim_wrapper.values():
            wrapper.step()
            wrapper.zero_grad()
        return {"loss_of_both": loss}


def _two(make_runner: MakeRunner) -> Runner:
    model = Two()
    wrappers = OptimWrapperDict(
        body=OptimWrapper(torch.optim.SGD(model.linear.parameters(), lr=0.1)),
        head=OptimWrapper(torch.optim.SGD(model.head.parameters(), lr=0.2)),
    )
    return make_runner(model=model, optim_wrapper=wrappers, param_scheduler=None)


@pytest.mark.parametrize(
    ("optimizer", "rates"),
    [
        pytest.param(None, [[1e-4, 2e-4], [1e-3, 2e-3]], id="all"),
        pytest.param("head", [[0.1, 1e-4], [0.1, 1e-3]], id="one"),
    ],
)
def test_rates_of_several_optimizers(
    make_runner: MakeRunner, optimizer: str | None, rates: list[list[float]]
) -> None:
    runner = _two(make_runner)

    find_learning_rate(runner, 1e-4, 1e-3, 2, optimizer=optimizer, loss="loss_of_both")

    assert np.allclose(runner.model.rates, rates)
    assert runner.optim_wrapper.get_lr() == {"body.lr": [0.1], "head.lr": [0.2]}


def test_accumulation_holds_a_rate_for_its_window(make_runner: MakeRunner) -> None:
    wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 3}
    runner = make_runner(model=Net(), optim_wrapper=wrapper)

    curve = find_learning_rate(runner, 1e-4, 1e-3, 2)

    assert [rate for (rate,) in runner.model.rates] == pytest.approx([1e-4] * 3 + [1e-3] * 3)
    assert len(curve.losses) == 2


def test_search_ends_when_the_loss_diverges(make_runner: MakeRunner) -> None:
    curve = find_learning_rate(make_runner(model=Net()), 1e-3, 1e6, 60)

    assert curve.diverged
    assert len(curve.rates) < 60
    assert curve.suggestion is not None
    assert 1e-3 < curve.suggestion < 10


def test_loss_that_is_not_finite_ends_the_search(make_runner: MakeRunner) -> None:
    class Broken(Net):
        def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
            losses = super().forward(x, y, mode)
            return {"loss": losses["loss"] * (float("nan") if self.steps > 3 else 1)}

    curve = find_learning_rate(make_runner(model=Broken()), num_iters=20)

    assert (curve.diverged, len(curve.losses)) == (True, 3)
    assert curve.suggestion is None  # of three losses


def test_hooks_and_schedules_do_not_act(make_runner: MakeRunner) -> None:
    class Count(Hook):
        calls = 0

        def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
            self.calls += 1

    count = Count()
    runner = make_runner(model=Net(), custom_hooks=[count])

    find_learning_rate(runner, num_iters=5)

    assert count.calls == 0
    assert runner.iter == 0
    assert [path.name for path in Path(runner.work_dir).iterdir()] == [runner.timestamp]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_config_leaves_no_folder_and_is_not_changed(
    project: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(project)
    monkeypatch.delitem(sys.modules, "task", raising=False)
    config = Config.fromfile("cfg.py")
    text, before = config.pretty_text, sorted(os.listdir(project))

    curve = find_learning_rate(config, num_iters=10)
    again = find_learning_rate("cfg.py", num_iters=10)

    assert curve == again
    assert config.pretty_text == text
    assert set(os.listdir(project)) - {"__pycache__"} == set(before) - {"__pycache__"}
    assert not any(temporary.iterdir())


def test_position_in_the_data_is_restored(make_runner: MakeRunner, settings: Settings) -> None:
    runner = make_runner(model=Net())
    asked = settings()["train_dataloader"]["dataset"]
    loader: Any = runner.train_dataloader
    before = loader.state_dict()

    find_learning_rate(runner, num_iters=6)

    after = loader.state_dict()
    assert (after["batches"], after["generators"]) == (before["batches"], before["generators"])
    assert asked.asked == []  # a dataset of another call


def test_own_generator_of_a_loader_is_restored(make_runner: MakeRunner, settings: Settings) -> None:
    generator = torch.Generator().manual_seed(5)
    dataset = settings()["train_dataloader"]["dataset"]
    loader: DataLoader[Any] = DataLoader(dataset, batch_size=3, shuffle=True, generator=generator)
    before = generator.get_state()

    find_learning_rate(make_runner(model=Net(), train_dataloader=loader), num_iters=6)

    assert torch.equal(generator.get_state(), before)


def test_iterator_raises(make_runner: MakeRunner) -> None:
    def batches() -> Iterator[Any]:
        yield torch.ones(3, 1), torch.ones(3, 1)

    with pytest.raises(SettingsError, match="an iterator cannot begin again"):
        find_learning_rate(make_runner(model=Net(), train_dataloader=batches()))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        pytest.param({"min_lr": 0}, ValueError, "0 < min_lr < max_lr, got 0", id="min"),
        pytest.param({"max_lr": 1e-9}, ValueError, "0 < min_lr < max_lr", id="max"),
        pytest.param({"num_iters": 1}, ValueError, "num_iters must be an integer >= 2", id="iters"),
        pytest.param({"stop_factor": 1}, ValueError, "stop_factor must be", id="stop"),
        pytest.param({"loss": "los"}, KeyError, "did you mean 'loss'", id="loss"),
        pytest.param({"optimizer": "head"}, ValueError, "the run has one", id="optimizer"),
    ],
)
def test_wrong_option_raises(
    make_runner: MakeRunner, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        find_learning_rate(make_runner(model=Net()), **options)


def test_unknown_optimizer_lists_the_known_ones(make_runner: MakeRunner) -> None:
    with pytest.raises(ValueError, match=r"did you mean 'head'.*there are: body, head"):
        find_learning_rate(_two(make_runner), optimizer="hed", loss="loss_of_both")


def test_optimizer_without_a_rate_raises(make_runner: MakeRunner) -> None:
    wrapper = {"optimizer": {"type": "SGD", "lr": 0.0}}

    with pytest.raises(ValueError, match="must be positive, got 0"):
        find_learning_rate(make_runner(model=Net(), optim_wrapper=wrapper))


def test_suggestion_is_where_the_loss_falls_fastest() -> None:
    rates = (10.0 ** np.linspace(-6, 1, 100)).tolist()
    x = np.log10(rates)
    # A fall around 1e-3, a least value near 1e-1, a rise beyond.
    losses = (2 - 1.5 / (1 + np.exp(-4 * (x + 3))) + np.exp(3 * (x - 0.0))).tolist()
    noise = np.random.default_rng(0).normal(0, 0.02, 100)

    suggestion = suggested_rate(rates, smoothed((losses + noise).tolist(), 0.03))

    assert suggestion is not None
    assert 3e-4 < suggestion < 3e-3


@pytest.mark.parametrize("losses", [[1.0] * 10, [float(n) for n in range(10)], [1.0], []])
def test_loss_that_does_not_fall_has_no_suggestion(losses: list[float]) -> None:
    assert suggested_rate([10.0**n for n in range(len(losses))], losses) is None


def test_plot_is_a_picture(make_runner: MakeRunner, tmp_path: Path) -> None:
    curve = find_learning_rate(make_runner(model=Net()), num_iters=20)

    path = curve.plot(tmp_path / "plots" / "lr.png")

    with Image.open(path) as picture:
        assert picture.size == (1140, 600)  # the legend is beside the curve


class Assigning(Net):
    """Assign a new tensor to its buffer in each pass."""

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        self.seen = self.seen + 1
        return super().forward(x, y, mode)


def test_assigned_buffer_is_restored(make_runner: MakeRunner) -> None:
    runner = make_runner(model=Assigning())
    find_learning_rate(runner, num_iters=6)
    assert runner.model.seen == 0
