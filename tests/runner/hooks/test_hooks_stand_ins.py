"""Hooks in the unit tests of libraries, whose runner is a `unittest.mock.Mock`."""

from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import nn

from engine_logging import MessageHub
from engine_runner import Hook
from engine_runner.hooks import (
    DistSamplerSeedHook,
    EMAHook,
    IterTimerHook,
    ParamSchedulerHook,
    RuntimeInfoHook,
)


@pytest.fixture
def runner() -> Any:
    """Return a stand-in of a library: only what its test sets has a meaning."""
    return Mock(iter=9, epoch=0, max_iters=20, max_epochs=2, model=nn.Linear(1, 1), hooks=[])


def test_intervals_of_a_stand_in_are_counted(runner: Any) -> None:
    assert Hook().every_n_train_iters(runner, 5)
    assert not Hook().every_n_epochs(runner, 2)


def test_schedules_of_a_stand_in_are_stepped(runner: Any) -> None:
    runner.param_schedulers = [Mock(by_epoch=False), Mock(by_epoch=True)]

    ParamSchedulerHook().after_train_iter(runner, 0)

    assert [each.step.call_count for each in runner.param_schedulers] == [1, 0]


def test_average_of_a_stand_in_is_updated(runner: Any) -> None:
    hook = EMAHook(momentum=0.5)
    hook.before_run(runner)
    hook.after_train_iter(runner, 0)
    with torch.no_grad():
        runner.model.weight += 1
    hook.after_train_iter(runner, 1)

    assert torch.allclose(hook.ema_model.module.weight, runner.model.weight - 0.5)  # type: ignore[arg-type]  # a Linear


def test_infos_of_a_stand_in_are_recorded(runner: Any) -> None:
    runner.message_hub = hub = MessageHub.get_instance("of a stand-in")
    runner.optim_wrapper.get_lr = Mock(return_value={"lr": [0.01]})
    hook = RuntimeInfoHook()

    hook.before_train(runner)
    hook.before_train_iter(runner, 2, None)
    hook.after_train_iter(runner, 2, None, outputs={"loss_cls": 1.5})
    hook.after_val_epoch(runner, metrics={"acc": 0.8})

    assert (hub.get_info("epoch"), hub.get_info("max_iters")) == (0, 20)
    scalars = {name: buffer.current() for name, buffer in hub.log_scalars.items()}
    assert scalars == {"train/lr": 0.01, "train/loss_cls": 1.5, "val/acc": 0.8}


def test_samplers_of_a_stand_in_are_set(runner: Any) -> None:
    DistSamplerSeedHook().before_train_epoch(runner)

    runner.train_loop.dataloader.sampler.set_epoch.assert_called_with(0)


def test_times_of_a_stand_in_are_recorded(runner: Any) -> None:
    runner.message_hub = hub = MessageHub.get_instance("of a timed stand-in")
    hook = IterTimerHook()

    hook.before_train(runner)
    hook.before_train_epoch(runner)
    hook.before_train_iter(runner, 0)
    hook.after_train_iter(runner, 0)

    assert set(hub.log_scalars) == {"train/time", "train/data_time"}
