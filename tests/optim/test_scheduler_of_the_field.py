"""Schedules as libraries write them, and the warning about the order of steps."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

from engine_optim import (
    INF,
    AmpOptimWrapper,
    ApexOptimWrapper,
    ConstantLR,
    LinearLR,
    LRSchedulerMixin,
    MomentumSchedulerMixin,
    OptimWrapper,
    Schedulable,
    _ParamScheduler,
    build_optim_wrapper,
)
from engine_registry import OPTIM_WRAPPERS


class WarmupParamScheduler(_ParamScheduler):
    """A schedule with a constructor of its own, which reads the groups of its optimizer."""

    def __init__(
        self,
        optimizer: Any,
        param_name: str,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.total_iters = end - begin
        super().__init__(
            optimizer=optimizer,
            param_name=param_name,
            begin=begin,
            end=end,
            last_step=last_step,
            by_epoch=by_epoch,
            verbose=verbose,
        )

    @classmethod
    def build_iter_from_epoch(  # type: ignore[override]  # as libraries write it
        cls, *args: Any, begin: int = 0, end: int = INF, epoch_length: int = 1, **kwargs: Any
    ) -> Any:
        kwargs |= {"begin": begin * epoch_length, "end": end * epoch_length, "by_epoch": False}
        return cls(*args, **kwargs)

    def _get_value(self) -> Any:
        share = (2 * self.last_step + 1) / self.total_iters**2
        pairs = zip(self.base_values, self.optimizer.param_groups, strict=True)
        if self.last_step == 0:
            return [base * share for base in self.base_values]
        return [group[self.param_name] + base * share for base, group in pairs]


class WarmupLR(LRSchedulerMixin, WarmupParamScheduler):
    pass


class WarmupMomentum(MomentumSchedulerMixin, WarmupParamScheduler):
    pass


def train(optim_wrapper: OptimWrapper, *schedules: Any, steps: int = 4) -> list[list[float]]:
    rates = []
    for _ in range(steps):
        rates.append(optim_wrapper.get_lr()["lr"])
        loss = sum(p.sum() for group in optim_wrapper.param_groups for p in group["params"])
        assert isinstance(loss, torch.Tensor)
        optim_wrapper.update_params(loss)
        for schedule in schedules:
            schedule.step()
    return rates


def test_schedule_with_its_own_constructor_also_follows_base_lr() -> None:
    cfg = {"optimizer": {"type": "SGD", "lr": 0.4}, "paramwise_cfg": {"bias_lr_mult": 2.0}}
    optim_wrapper = build_optim_wrapper(nn.Linear(1, 1), cfg)
    schedule = WarmupLR.build_iter_from_epoch(optim_wrapper, end=1, epoch_length=2)

    rates = train(optim_wrapper, schedule)

    assert rates[0] == pytest.approx([0.1, 0.2])
    assert rates[-1] == pytest.approx([0.4, 0.8])
    assert optim_wrapper.get_lr()["base_lr"] == pytest.approx([0.4])
    assert copy.deepcopy(schedule).base_values == schedule.base_values
    assert not hasattr(schedule.optimizer, "no_such_name")


def test_momentum_mixin_binds_the_first_of_betas() -> None:
    optimizer = Adam(nn.Linear(1, 1).parameters(), betas=(0.8, 0.99))
    assert isinstance(optimizer, Schedulable)
    WarmupMomentum(optimizer, end=2)
    assert optimizer.param_groups[0]["betas"] == pytest.approx((0.2, 0.99))


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: SGD(parameters, lr=0.1),
        lambda parameters: OptimWrapper(SGD(parameters, lr=0.1)),
    ],
    ids=["optimizer", "wrapper"],
)
def test_schedule_that_steps_first_warns_once(make: Callable[[Any], Any]) -> None:
    optimizer = make(nn.Linear(1, 1).parameters())
    schedules = [LinearLR(optimizer), ConstantLR(optimizer)]
    with pytest.warns(UserWarning, match=r"step\(\) of LinearLR is called before the first step"):
        schedules[0].step()
    schedules[0].step()
    optimizer.step()
    schedules[1].step()  # the warnings of a test are errors


@pytest.mark.parametrize(
    "options",
    [{}, {"accumulative_counts": 3}, {"clip_grad": {"max_norm": 1.0}}],
    ids=["plain", "accumulated", "clipped"],
)
@pytest.mark.parametrize("kind", [OptimWrapper, AmpOptimWrapper])
def test_schedule_that_follows_its_optimizer_does_not_warn(
    kind: type[OptimWrapper], options: dict[str, Any]
) -> None:
    model = nn.Linear(1, 1)
    optim_wrapper = kind(optimizer=SGD(model.parameters(), lr=0.1), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(optim_wrapper, LinearLR(optim_wrapper), ConstantLR(optim_wrapper))
    assert not optim_wrapper.optimizer._optimizer_step_post_hooks  # as cheap as before


def test_schedule_of_an_optimizer_that_has_stepped_does_not_warn() -> None:
    optimizer = SGD(nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.9)
    for group in optimizer.param_groups:
        for param in group["params"]:
            param.grad = torch.ones_like(param)
    optimizer.step()
    LinearLR(optimizer).step()


@pytest.mark.parametrize(
    ("settings", "instead"),
    [
        ({}, r"use AmpOptimWrapper\(loss_scale='dynamic'\) for opt_level='O1', enabled=True"),
        ({"opt_level": "O2", "loss_scale": 512.0}, r"use AmpOptimWrapper\(loss_scale=512.0\)"),
        ({"opt_level": "O3"}, r"use AmpOptimWrapper\(dtype='bfloat16'\)"),
        ({"enabled": False}, r"use OptimWrapper\(\) for opt_level='O1', enabled=False"),
    ],
    ids=["default", "O2", "O3", "off"],
)
def test_wrapper_of_apex_raises_and_names_ours(settings: dict[str, Any], instead: str) -> None:
    optimizer = SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    with pytest.raises(RuntimeError, match=f"must be a wrapper of Engine, .*{instead}"):
        OPTIM_WRAPPERS.build({"type": "ApexOptimWrapper", "optimizer": optimizer, **settings})
    with pytest.raises(RuntimeError, match="Apex is not maintained"):
        ApexOptimWrapper(optimizer=optimizer)
