"""Values step by step against torch's own schedulers, over random settings."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import SGD, lr_scheduler

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

RATES = (0.05, 0.4)
steps = st.integers(1, 40)
factors = st.floats(0.05, 1.0)


def make_optimizer() -> SGD:
    groups: list[dict[str, Any]] = [
        {"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in RATES
    ]
    return SGD(groups, lr=0.1)


def trajectory(make: Callable[[SGD], Any], count: int) -> list[list[float]]:
    optimizer = make_optimizer()
    scheduler = make(optimizer)
    values = []
    for _ in range(count):
        values.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return values


def assert_same(ours: Callable[[SGD], Any], theirs: Callable[[SGD], Any], count: int) -> None:
    torch.testing.assert_close(
        torch.tensor(trajectory(ours, count), dtype=torch.float64),
        torch.tensor(trajectory(theirs, count), dtype=torch.float64),
        rtol=1e-9,
        atol=1e-12,
    )


@settings(max_examples=30)
@given(factor=factors, total=steps)
def test_constant_equals_torch(factor: float, total: int) -> None:
    assert_same(
        lambda o: ConstantLR(o, factor=factor, end=total + 1),
        lambda o: lr_scheduler.ConstantLR(o, factor=factor, total_iters=total),
        total + 5,
    )


@settings(max_examples=30)
@given(start=factors, end=factors, total=steps)
def test_linear_equals_torch(start: float, end: float, total: int) -> None:
    assert_same(
        lambda o: LinearLR(o, start_factor=start, end_factor=end, end=total + 1),
        lambda o: lr_scheduler.LinearLR(o, start, end, total_iters=total),
        total + 5,
    )


@settings(max_examples=30)
@given(gamma=st.floats(0.5, 1.0), count=steps)
def test_exponential_equals_torch(gamma: float, count: int) -> None:
    assert_same(
        lambda o: ExponentialLR(o, gamma=gamma),
        lambda o: lr_scheduler.ExponentialLR(o, gamma=gamma),
        count,
    )


@settings(max_examples=30)
@given(size=st.integers(1, 12), gamma=factors, count=steps)
def test_step_equals_torch(size: int, gamma: float, count: int) -> None:
    assert_same(
        lambda o: StepLR(o, step_size=size, gamma=gamma),
        lambda o: lr_scheduler.StepLR(o, step_size=size, gamma=gamma),
        count,
    )


@settings(max_examples=30)
@given(milestones=st.lists(st.integers(1, 30), min_size=1, max_size=5), gamma=factors)
def test_multi_step_equals_torch(milestones: list[int], gamma: float) -> None:
    assert_same(
        lambda o: MultiStepLR(o, milestones=milestones, gamma=gamma),
        lambda o: lr_scheduler.MultiStepLR(o, milestones=sorted(milestones), gamma=gamma),
        35,
    )


@settings(max_examples=30)
@given(power=st.floats(0.3, 3.0), total=steps)
def test_poly_equals_torch(power: float, total: int) -> None:
    assert_same(
        lambda o: PolyLR(o, power=power, end=total + 1),
        lambda o: lr_scheduler.PolynomialLR(o, total_iters=total, power=power),
        total + 1,
    )


@settings(max_examples=30)
@given(period=st.integers(1, 25), low=st.floats(0.0, 0.04), count=st.integers(1, 60))
def test_cosine_equals_torch(period: int, low: float, count: int) -> None:
    assert_same(
        lambda o: CosineAnnealingLR(o, T_max=period, eta_min=low),
        lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=period, eta_min=low),
        count,
    )


@settings(max_examples=30)
@given(first=st.integers(1, 8), growth=st.integers(1, 3), low=st.floats(0.0, 0.04))
def test_cosine_restart_equals_torch(first: int, growth: int, low: float) -> None:
    periods = [first * growth**i for i in range(3)]

    assert_same(
        lambda o: CosineRestartLR(o, periods=periods, eta_min=low),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, first, T_mult=growth, eta_min=low),
        sum(periods),
    )


@settings(max_examples=40)
@given(
    total=st.integers(12, 60),
    pct_start=st.floats(0.2, 0.45),
    strategy=st.sampled_from(["cos", "linear"]),
    three_phase=st.booleans(),
    divisors=st.tuples(st.floats(2, 50), st.floats(2, 1e4)),
)
def test_one_cycle_equals_torch(
    total: int,
    pct_start: float,
    strategy: Any,
    three_phase: bool,
    divisors: tuple[float, float],
) -> None:
    maxima = [0.5, 0.9]

    assert_same(
        lambda o: OneCycleLR(
            o, maxima, total, pct_start, strategy, *divisors, three_phase=three_phase
        ),
        lambda o: lr_scheduler.OneCycleLR(
            o,
            maxima,
            total,
            pct_start=pct_start,
            anneal_strategy=strategy,
            cycle_momentum=False,
            div_factor=divisors[0],
            final_div_factor=divisors[1],
            three_phase=three_phase,
        ),
        total,
    )


@settings(max_examples=50)
@given(
    metrics=st.lists(st.floats(-2, 2), min_size=1, max_size=40),
    rule=st.sampled_from(["less", "greater"]),
    threshold_rule=st.sampled_from(["rel", "abs"]),
    patience=st.integers(0, 3),
    cooldown=st.integers(0, 3),
)
def test_plateau_equals_torch(
    metrics: list[float], rule: Any, threshold_rule: Any, patience: int, cooldown: int
) -> None:
    ours, theirs = make_optimizer(), make_optimizer()
    mine = ReduceOnPlateauLR(
        ours,
        rule=rule,
        patience=patience,
        threshold=0.1,
        threshold_rule=threshold_rule,
        cooldown=cooldown,
        min_value=[0.001, 0.01],
    )
    reference = lr_scheduler.ReduceLROnPlateau(
        theirs,
        mode="min" if rule == "less" else "max",
        patience=patience,
        threshold=0.1,
        threshold_mode=threshold_rule,
        cooldown=cooldown,
        min_lr=[0.001, 0.01],
    )

    for metric in metrics:
        mine.step({"loss": metric})
        reference.step(metric)

        assert [g["lr"] for g in ours.param_groups] == [g["lr"] for g in theirs.param_groups]


def test_cosine_equals_closed_form_with_fractional_period() -> None:
    period = 0.3 * 10
    values = trajectory(lambda o: CosineAnnealingLR(o, T_max=period, eta_min=0.01), 12)

    for step, row in enumerate(values):
        part = (1 + math.cos(math.pi * step / period)) / 2
        assert row == pytest.approx([0.01 + (rate - 0.01) * part for rate in RATES], abs=1e-9)


def test_poly_reaches_eta_min_at_the_last_step() -> None:
    values = trajectory(lambda o: PolyLR(o, eta_min=0.01, power=0.7, end=6), 8)

    for step, row in enumerate(values[:6]):
        part = (1 - step / 5) ** 0.7
        assert row == pytest.approx([0.01 + (rate - 0.01) * part for rate in RATES])
    assert values[5:] == [pytest.approx([0.01, 0.01])] * 3
