"""Each schedule by itself: conversion from epochs, resume, settings and ends."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import SGD

from engine_optim import (
    ConstantLR,
    CosineAnnealingLR,
    CosineRestartLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolyLR,
    ReduceOnPlateauLR,
    StepLR,
)
from engine_registry import PARAM_SCHEDULERS

# Most tests here step schedules alone, of which a warning says that it skips a value.
pytestmark = pytest.mark.filterwarnings("ignore:step.. of .* is called before the first step")

Make = Callable[..., Any]
WRONG: Any = 3.5  # a value that type checkers would reject


@pytest.mark.parametrize("stop", [1, 4, 8])
def test_resume_from_state_continues(
    family: str, stop: int, sgd: Make, values: Make, build: Make
) -> None:
    whole = values(build(family, "LR", sgd()), 9)
    first = sgd()
    scheduler = build(family, "LR", first)
    for _ in range(stop):
        scheduler.step()

    second = sgd(lr=5.0)
    resumed = build(family, "LR", second)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(scheduler.state_dict())

    assert values(resumed, 9 - stop) == pytest.approx(whole[stop:])
    assert resumed.get_last_value() == [second.param_groups[0]["lr"]]


def test_resume_from_last_step_continues(family: str, sgd: Make, values: Make, build: Make) -> None:
    whole = values(build(family, "LR", sgd()), 9)
    optimizer = sgd()
    scheduler = build(family, "LR", optimizer)
    for _ in range(3):
        scheduler.step()

    resumed = build(family, "LR", optimizer, last_step=scheduler.last_step)

    assert values(resumed, 5) == pytest.approx(whole[4:])


def assert_plain(state: dict[str, Any], path: Path) -> None:
    torch.save(state, path)
    assert torch.load(path, weights_only=True) == state
    assert "optimizer" not in state


def test_state_is_plain_and_loads_with_weights_only(
    family: str, tmp_path: Path, sgd: Make, build: Make
) -> None:
    state = build(family, "LR", sgd()).state_dict()

    assert_plain(state, tmp_path / "state.pth")


def test_state_of_plateau_is_plain_too(tmp_path: Path, sgd: Make) -> None:
    scheduler = ReduceOnPlateauLR(sgd())
    scheduler.step({"loss": 1.0})

    assert_plain(scheduler.state_dict(), tmp_path / "state.pth")


def test_state_of_another_schedule_is_logged(sgd: Make, caplog: pytest.LogCaptureFixture) -> None:
    state = StepLR(sgd(), step_size=2).state_dict()

    CosineAnnealingLR(sgd(), T_max=5).load_state_dict(state)

    assert "has gamma, step_size, which CosineAnnealingLR lacks" in caplog.text


def test_milestones_of_numpy_leave_a_plain_state(sgd: Make, tmp_path: Path) -> None:
    scheduler = MultiStepLR(sgd(), milestones=np.array([2, 3]))

    assert_plain(scheduler.state_dict(), tmp_path / "state.pth")


@pytest.mark.parametrize("interval", [{"begin": "0"}, {"end": None}], ids=["text", "none"])
def test_interval_of_another_type_raises(interval: dict[str, Any], sgd: Make) -> None:
    with pytest.raises(TypeError, match="begin and end must be numbers"):
        StepLR(sgd(), 1, **interval)


def test_resume_without_initial_values_raises(sgd: Make) -> None:
    with pytest.raises(KeyError, match="initial_lr"):
        LinearLR(sgd(), last_step=4)


@pytest.mark.parametrize(
    ("kind", "settings_"),
    [
        (MultiStepLR, {"milestones": [2, 3]}),
        (StepLR, {"step_size": 2}),
        (CosineAnnealingLR, {"T_max": 5}),
        (CosineAnnealingLR, {"end": 5}),
        (CosineRestartLR, {"periods": [2, 3], "restart_weights": [1, 0.5]}),
        (OneCycleLR, {"eta_max": 0.5, "total_steps": 6}),
        (PolyLR, {"end": 5, "power": 0.9}),
        (ConstantLR, {"begin": 1, "end": 3}),
        (LinearLR, {"begin": 1.5, "end": 3}),
        (ExponentialLR, {"gamma": 0.5}),
    ],
    ids=lambda item: item.__name__ if isinstance(item, type) else "",
)
def test_epoch_settings_become_iterations(
    kind: Any, settings_: dict[str, Any], sgd: Make, values: Make
) -> None:
    length = 7
    factors = {"begin", "end", "T_max", "step_size", "total_steps"}
    by_iteration = {k: int(v * length) if k in factors else v for k, v in settings_.items()}
    for key in ("milestones", "periods"):
        if key in settings_:
            by_iteration[key] = [v * length for v in settings_[key]]
    if "gamma" in settings_:
        by_iteration["gamma"] = settings_["gamma"] ** (1 / length)

    converted = kind.build_iter_from_epoch(sgd(), epoch_length=length, **settings_)

    assert converted.by_epoch is False
    assert values(converted, 40) == pytest.approx(
        values(kind(sgd(), by_epoch=False, **by_iteration), 40)
    )


def test_exponential_conversion_takes_gamma_by_position(sgd: Make, values: Make) -> None:
    converted = ExponentialLR.build_iter_from_epoch(sgd(), 0.5, epoch_length=4)

    assert values(converted, 9)[::4] == pytest.approx([0.1, 0.05, 0.025])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch_length": None}, "epoch_length must be a positive integer, got None"),
        ({"epoch_length": 0}, "epoch_length must be a positive integer, got 0"),
        ({"epoch_length": 3, "by_epoch": False}, "by_epoch must be True .* got False"),
    ],
)
def test_impossible_conversion_raises(options: dict[str, Any], message: str, sgd: Make) -> None:
    with pytest.raises(ValueError, match=message):
        StepLR.build_iter_from_epoch(sgd(), step_size=1, **options)


def test_config_with_convert_to_iter_based_builds_from_epochs(sgd: Make) -> None:
    cfg = {"type": "MultiStepLR", "milestones": [8, 11], "convert_to_iter_based": True}

    scheduler = PARAM_SCHEDULERS.build(cfg, default_args={"optimizer": sgd(), "epoch_length": 10})

    assert isinstance(scheduler, MultiStepLR)
    assert scheduler.milestones == {80: 1, 110: 1}
    assert scheduler.by_epoch is False


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: LinearLR(o, begin=3, end=3), "0 <= begin < end, got 3 and 3"),
        (lambda o: LinearLR(o, start_factor=0), r"start_factor must be in \(0, 1\], got 0"),
        (lambda o: LinearLR(o, end_factor=2), r"end_factor must be in \[0, 1\], got 2"),
        (lambda o: ConstantLR(o, factor=1.5), "factor must be .* got 1.5"),
        (lambda o: StepLR(o, 0), "step_size must be positive, got 0"),
        (lambda o: MultiStepLR(o, [2, WRONG]), "milestones must be a list of integers, got"),
        (lambda o: MultiStepLR(o, WRONG), "milestones must be a list of integers, got 3.5"),
        (lambda o: ExponentialLR(o, 0.9, decay_steps=0), "decay_steps must be positive, got 0"),
        (lambda o: CosineAnnealingLR(o, T_max=0), "T_max must be positive, got 0"),
        (
            lambda o: CosineAnnealingLR(o, 5, eta_min=0, eta_min_ratio=0.1),
            "at most one of eta_min and eta_min_ratio",
        ),
        (lambda o: CosineRestartLR(o, []), "periods must be positive"),
        (lambda o: CosineRestartLR(o, [1, 2, 3], [1, 2]), "2 restart_weights for 3 periods"),
        (lambda o: OneCycleLR(o, 1.0), "total_steps or end must be given, got neither"),
        (lambda o: OneCycleLR(o, 1.0, total_steps=0), "total_steps must be .* got 0"),
        (lambda o: OneCycleLR(o, 1.0, 10, pct_start=2.0), "pct_start must be .* got 2.0"),
        (lambda o: OneCycleLR(o, 1.0, 10, anneal_strategy=WRONG), "must be 'cos' or 'linear'"),
        (lambda o: OneCycleLR(o, [1.0, 2.0], 10), "eta_max must have .* got 2 for 1"),
        (lambda o: ReduceOnPlateauLR(o, factor=1.0), "factor must be below 1 .* got 1.0"),
        (lambda o: ReduceOnPlateauLR(o, rule=WRONG), "must be 'less' or 'greater', got 3.5"),
        (lambda o: ReduceOnPlateauLR(o, threshold_rule=WRONG), "must be 'rel' or 'abs', got 3.5"),
        (lambda o: ReduceOnPlateauLR(o, min_value=[0.0, 0.0]), "min_value must .* got 2 for 1"),
    ],
)
def test_wrong_settings_raise(make: Callable[[SGD], Any], message: str, sgd: Make) -> None:
    with pytest.raises(ValueError, match=message):
        make(sgd())


def test_one_cycle_ends_with_the_cycle(sgd: Make, values: Make) -> None:
    scheduler = OneCycleLR(sgd(), eta_max=1.0, total_steps=5)

    lrs = values(scheduler, 5)
    assert scheduler.get_last_value() == [pytest.approx(lrs[-1])]
    with pytest.raises(ValueError, match="total_steps=5"):
        scheduler.step()


def test_one_cycle_takes_its_length_from_the_interval(sgd: Make, values: Make) -> None:
    by_interval = values(OneCycleLR(sgd(), eta_max=1.0, begin=0, end=8), 8)

    assert by_interval == values(OneCycleLR(sgd(), eta_max=1.0, total_steps=8), 8)


def test_cosine_restart_starts_each_period_from_its_weight(sgd: Make, values: Make) -> None:
    scheduler = CosineRestartLR(sgd(), periods=[2, 3], restart_weights=[1, 0.5], eta_min=0.02)

    lrs = values(scheduler, 8)

    assert lrs[0] == pytest.approx(0.1)
    assert lrs[2] == pytest.approx(0.02 + 0.5 * 0.08)
    # After the last period the last value stays, and is that of the last step within it.
    assert lrs[4] == pytest.approx(0.02 + 0.04 * (1 + math.cos(2 * math.pi / 3)) / 2)
    assert lrs[5:] == [lrs[4]] * 3


def test_plateau_counts_training_steps_without_metrics(sgd: Make) -> None:
    scheduler = ReduceOnPlateauLR(sgd(), patience=0, begin=2, end=4)

    lrs = []
    for _ in range(6):
        scheduler.step({"loss": 1.0})
        lrs.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.step()

    assert lrs == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.01])
    assert scheduler.need_val_args


def test_plateau_reads_the_monitored_metric(sgd: Make) -> None:
    scheduler = ReduceOnPlateauLR(sgd(), monitor="acc/top1", rule="greater", patience=0)

    scheduler.step({"acc/top1": torch.tensor(0.5), "loss": 3.0})
    scheduler.step({"acc/top1": torch.tensor(0.4), "loss": 1.0})

    assert scheduler.get_last_value() == pytest.approx([0.01])


def test_plateau_without_its_metric_raises_and_lists_the_metrics(sgd: Make) -> None:
    scheduler = ReduceOnPlateauLR(sgd(), monitor="acc")

    with pytest.raises(KeyError, match="bleu, loss"):
        scheduler.step({"loss": 1.0, "bleu": 2.0})
    with pytest.raises(TypeError, match="float"):
        scheduler.step(1.0)  # type: ignore[arg-type]
