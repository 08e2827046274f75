"""A training whose loss is not finite ends with an error, and its weights are not saved."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_model import BaseModel
from engine_runner import Hook, Runner


class Breaks(BaseModel):
    """Returns a loss part of the given value at some iterations, counted from 1."""

    def __init__(self, value: float = math.nan, at: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.value, self.at, self.count = value, at, 0

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        if mode != "loss":
            return (self.linear(x), y)
        self.count += 1
        factor = self.value if self.count in self.at else 1.0
        square = (self.linear(x) - y).square().mean()
        return {"loss_fit": square, "loss_extra": square * factor, "quality": square * math.nan}


class SpoilWeight(Hook):
    """Set a weight to NaN after an iteration, as an optimizer that divides by zero does."""

    def __init__(self, at: int) -> None:
        self.at = at

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter + 1 == self.at:
            with torch.no_grad():
                next(runner.model.parameters()).fill_(math.nan)


def saved(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pth"))


@pytest.mark.parametrize("value", [math.nan, math.inf], ids=["nan", "infinite"])
def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(
    toy_run: Callable[..., Runner], tmp_path: Path, value: float
) -> None:
    runner = toy_run(model=Breaks(value, at=(7, 8)), train_cfg={"by_epoch": True, "max_epochs": 3})

    with pytest.raises(ArithmeticError) as caught:
        runner.train()

    text = str(caught.value)
    assert f"loss_extra must be finite, got {value} at iteration 7 with lr 0.1;" in text
    assert "clip_grad" in text
    assert "set_detect_anomaly" in text
    assert str(tmp_path / "work" / "epoch_1.pth") in text
    assert saved(tmp_path / "work") == ["epoch_1.pth"]
    assert runner.iter == 7  # a short epoch logs its last iteration


def test_a_loss_is_read_where_the_run_logs(toy_run: Callable[..., Runner]) -> None:
    runner = toy_run(
        model=Breaks(at=(2,)),
        train_cfg={"by_epoch": True, "max_epochs": 3},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 3}},
    )

    with pytest.raises(ArithmeticError, match=r"at iteration 2 .*No checkpoint was saved"):
        runner.train()

    assert runner.iter == 2  # the third iteration logs


def test_a_checkpoint_of_iterations_is_not_replaced_by_weights_that_are_not_finite(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    runner = toy_run(
        train_cfg={"by_epoch": False, "max_iters": 12},
        custom_hooks=[SpoilWeight(at=4)],
        default_hooks={
            "checkpoint": {
                "type": "CheckpointHook", "interval": 2, "by_epoch": False, "max_keep_ckpts": 1
            }
        },
    )  # fmt: skip

    with pytest.raises(ArithmeticError, match="must be finite"):
        runner.train()

    assert saved(tmp_path / "work") == ["iter_2.pth"]


class SaveNow(Hook):
    """Save a checkpoint at every iteration, as hooks of users do."""

    priority = "VERY_LOW"

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        runner.save_checkpoint(runner.work_dir, "own.pth", by_epoch=False)


def test_weights_are_checked_before_any_checkpoint_is_saved(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    runner = toy_run(custom_hooks=[SpoilWeight(at=3), SaveNow()])

    with pytest.raises(ArithmeticError, match=r"weights must be finite.*'linear.weight'"):
        runner.train()

    state = torch.load(tmp_path / "work" / "own.pth", weights_only=False)
    assert state["progress"]["iter"] == 2
    assert state["state_dict"]["linear.weight"].isfinite().all()


def test_warn_logs_once_and_trains_on(toy_run: Callable[..., Runner], tmp_path: Path) -> None:
    runner = toy_run(
        model=Breaks(at=(2, 3, 4, 5, 6, 7, 8)),
        default_hooks={
            "finite_loss": {"type": "FiniteLossHook", "action": "warn"},
            "logger": {"type": "LoggerHook", "interval": 1},
        },
    )

    runner.train()

    log = "".join(path.read_text() for path in (tmp_path / "work").glob("*/*.log"))
    assert runner.iter == 8
    assert log.count("must be finite, got nan") == 1


def test_none_leaves_the_check_out(toy_run: Callable[..., Runner]) -> None:
    runner = toy_run(model=Breaks(at=(2,)), default_hooks={"finite_loss": None})

    runner.train()

    assert runner.iter == 8


@pytest.mark.parametrize(
    ("at", "ends_at"), [((3, 9, 15), 40), (tuple(range(5, 41)), 23)], ids=["some", "all"]
)
def test_skipped_steps_of_a_scaler_are_no_error_but_lasting_ones_are(
    toy_run: Callable[..., Runner], at: tuple[int, ...], ends_at: int
) -> None:
    runner = toy_run(
        model=Breaks(math.inf, at=at),
        train_cfg={"by_epoch": False, "max_iters": 40},
        optim_wrapper={
            "type": "AmpOptimWrapper", "dtype": "float16", "optimizer": {"type": "SGD", "lr": 0.01}
        },
        default_hooks={"logger": {"type": "LoggerHook", "interval": 1}},
    )  # fmt: skip

    if ends_at == 40:
        runner.train()
    else:
        with pytest.raises(ArithmeticError, match="loss_extra must be finite, got inf"):
            runner.train()

    assert runner.iter == ends_at
    assert all(weight.isfinite().all() for weight in runner.model.parameters())


def test_a_weight_without_elements_is_no_error(toy_run: Callable[..., Runner]) -> None:
    model = Breaks()
    model.register_parameter("empty", nn.Parameter(torch.zeros(0)))
    model.register_parameter("short", nn.Parameter(torch.zeros(2, dtype=torch.bfloat16)))
    runner = toy_run(model=model)

    runner.train()

    assert runner.iter == 8


def test_an_iteration_that_does_not_log_calls_no_method_of_the_check() -> None:
    from engine_runner.hooks import FiniteLossHook

    points = FiniteLossHook().get_triggered_stages()

    assert not {"before_train_iter", "after_train_iter"} & set(points)
