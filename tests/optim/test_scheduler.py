"""Behavior of all schedulers: intervals, chaining, classes of a schedule and logs."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD, Adam

import engine_optim
import engine_optim.scheduler
from engine_optim import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LinearMomentum,
    LinearParamScheduler,
    OneCycleLR,
    OptimWrapper,
    StepLR,
    StepMomentum,
    StepParamScheduler,
    _ParamScheduler,
)
from engine_registry import PARAM_SCHEDULERS

# Most tests here step schedules alone, of which a warning says that it skips a value.
pytestmark = pytest.mark.filterwarnings("ignore:step.. of .* is called before the first step")

Make = Callable[..., Any]


def test_classes_of_a_schedule_have_the_same_arithmetic(
    family_and_suffix: tuple[str, str], sgd: Make, values: Make, build: Make
) -> None:
    family, suffix = family_and_suffix
    optimizer = sgd(lr=0.4, momentum=0.4, weight_decay=0.4)
    key = {"LR": "lr", "Momentum": "momentum"}.get(suffix, "weight_decay")
    reference = build(family, "LR", sgd(lr=0.4))

    scheduler = build(family, suffix, optimizer)

    assert scheduler.param_name == key
    assert values(scheduler, 9, key) == values(reference, 9)
    others = {"lr", "momentum", "weight_decay"} - {key}
    assert all(optimizer.param_groups[0][other] == 0.4 for other in others)


def test_classes_of_a_schedule_are_registered(family_and_suffix: tuple[str, str]) -> None:
    name = "".join(family_and_suffix)

    assert PARAM_SCHEDULERS.get(name) is getattr(engine_optim, name)
    assert hasattr(engine_optim.scheduler, name)


@settings(max_examples=40)
@given(begin=st.integers(0, 10), length=st.integers(1, 10))
def test_interval_shifts_the_schedule(begin: int, length: int, sgd: Make, values: Make) -> None:
    shifted = values(LinearLR(sgd(), start_factor=0.1, begin=begin, end=begin + length), 25)
    plain = values(LinearLR(sgd(), start_factor=0.1, end=length), 25)

    assert shifted[:begin] == [0.1] * begin
    assert shifted[begin:] == plain[: 25 - begin]


@pytest.mark.parametrize("length", [1, 2, 50], ids=str)
def test_linear_ends_at_the_full_value(length: int, sgd: Make, values: Make) -> None:
    assert values(LinearLR(sgd(), start_factor=0.001, end=length), length + 3)[
        length - 1 :
    ] == pytest.approx([0.1] * 4)


def test_constant_restores_the_value(sgd: Make, values: Make) -> None:
    assert values(ConstantLR(sgd(), factor=0.5, begin=1, end=4), 6) == pytest.approx(
        [0.1, 0.05, 0.05, 0.1, 0.1, 0.1]
    )
    assert values(ConstantLR(sgd(), factor=0, end=3), 5) == pytest.approx([0, 0, 0.1, 0.1, 0.1])


def test_warm_up_then_cosine_join(sgd: Make) -> None:
    optimizer = sgd()
    schedulers = [
        LinearLR(optimizer, start_factor=0.001, by_epoch=False, begin=0, end=100),
        CosineAnnealingLR(optimizer, T_max=800, by_epoch=False, begin=100, end=900),
    ]

    lrs = []
    for _ in range(1000):
        lrs.append(optimizer.param_groups[0]["lr"])
        for scheduler in schedulers:
            scheduler.step()

    assert lrs[0] == pytest.approx(0.0001)
    assert lrs[99] == lrs[100] == pytest.approx(0.1)
    assert lrs[500] == pytest.approx(0.05)
    assert lrs[899] == lrs[999] < 1e-6


def test_gap_between_intervals_keeps_the_value(sgd: Make) -> None:
    optimizer = sgd()
    schedulers = [
        LinearLR(optimizer, start_factor=0.5, end=5),
        ExponentialLR(optimizer, gamma=0.5, begin=8, end=11),
    ]

    lrs = []
    for _ in range(12):
        lrs.append(optimizer.param_groups[0]["lr"])
        for scheduler in schedulers:
            scheduler.step()

    assert lrs[4:9] == pytest.approx([0.1] * 5)
    assert lrs[9:] == pytest.approx([0.05, 0.025, 0.025])


def test_overlapping_schedulers_act_in_turn(sgd: Make) -> None:
    optimizer = sgd(lr=1.0)
    schedulers = [ExponentialLR(optimizer, gamma=0.5), StepLR(optimizer, 2, gamma=0.1)]

    lrs = []
    for _ in range(5):
        lrs.append(optimizer.param_groups[0]["lr"])
        for scheduler in schedulers:
            scheduler.step()

    assert lrs == pytest.approx([1, 0.5, 0.025, 0.0125, 0.000625])


def test_fractional_intervals_are_accepted(sgd: Make, values: Make) -> None:
    optimizer = sgd()
    flat = ConstantLR(optimizer, factor=1, begin=0, end=10 * 0.75)
    cosine = CosineAnnealingLR(optimizer, T_max=10 * 0.25, begin=10 * 0.75, end=10)

    lrs = []
    for _ in range(10):
        lrs.append(optimizer.param_groups[0]["lr"])
        flat.step()
        cosine.step()

    assert lrs[:9] == pytest.approx([0.1] * 9)
    assert lrs[9] < 0.1
    assert values(LinearLR(sgd(), 0.5, end=2.5), 4) == pytest.approx([0.05, 0.075, 0.1, 0.1])


def test_momentum_of_adam_is_the_first_of_betas(values: Make) -> None:
    optimizer = Adam(nn.Linear(1, 1).parameters(), betas=(0.8, 0.99))

    scheduler = LinearMomentum(optimizer, start_factor=0.5, end=3)

    assert values(scheduler, 3, "betas") == [(0.4, 0.99), (pytest.approx(0.6), 0.99), (0.8, 0.99)]


def test_optimizer_without_momentum_raises() -> None:
    optimizer = torch.optim.Adagrad(nn.Linear(1, 1).parameters())

    with pytest.raises(ValueError, match="neither 'momentum' nor 'betas'"):
        StepMomentum(optimizer, 1)


def test_tensor_values_are_changed_in_place() -> None:
    rate = torch.tensor(0.5)
    optimizer = Adam(nn.Linear(1, 1).parameters(), lr=rate)
    scheduler = ExponentialLR(optimizer, gamma=0.5)
    one_cycle = OneCycleLR(optimizer, eta_max=1.0, total_steps=4, begin=1)

    scheduler.step()
    kept = scheduler.get_last_value()
    one_cycle.step()

    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.04)
    assert float(kept[0]) == 0.25


@pytest.mark.parametrize("count", [1, 3])
def test_each_group_is_scheduled_from_its_own_value(count: int) -> None:
    groups = [{"params": nn.Linear(1, 1).parameters(), "lr": 0.1 * (i + 1)} for i in range(count)]
    optimizer = SGD(groups)
    scheduler = StepLR(optimizer, 1, gamma=0.5)

    scheduler.step()

    expected = [0.05 * (index + 1) for index in range(count)]
    assert scheduler.get_last_value() == pytest.approx(expected)


def test_wrapper_is_scheduled_like_its_optimizer(sgd: Make) -> None:
    wrapper = OptimWrapper(sgd())

    LinearLR(wrapper, start_factor=0.5, end=3)

    assert wrapper.get_lr() == {"lr": [0.05]}


def test_last_value_before_the_interval_is_the_current_one(sgd: Make) -> None:
    scheduler = LinearLR(sgd(), begin=5, end=8)

    assert scheduler.get_last_value() == [0.1]
    assert scheduler.last_step == -1


def test_verbose_logs_each_value(caplog: pytest.LogCaptureFixture, sgd: Make) -> None:
    caplog.set_level(logging.INFO, "engine")

    scheduler = StepLR(sgd(), 1, gamma=0.5, verbose=True)
    scheduler.step()
    scheduler.print_value(False, 0, 1.0)

    assert [record.getMessage() for record in caplog.records] == [
        "Adjusting lr of group 0 to 1.0000e-01.",
        "Adjusting lr of group 0 to 5.0000e-02.",
    ]


def test_unknown_parameter_raises_and_lists_the_choices(sgd: Make) -> None:
    with pytest.raises(KeyError, match="weight_decay"):
        StepParamScheduler(sgd(), "decay", 1)


def test_base_class_without_a_schedule_raises(sgd: Make) -> None:
    with pytest.raises(NotImplementedError, match="_get_value"):
        _ParamScheduler(sgd(), "lr")


def test_scheduler_shows_its_interval(sgd: Make) -> None:
    scheduler = LinearParamScheduler(sgd(), "lr", begin=1, end=9)

    assert repr(scheduler) == (
        "LinearParamScheduler(param_name='lr', begin=1, end=9, by_epoch=True, last_step=-1)"
    )
