"""`BaseOptimWrapper`: what a wrapper of the user's own needs, and what it gets."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_optim import BaseOptimWrapper, LinearLR, OptimWrapper, OptimWrapperDict


class PlainWrapper(BaseOptimWrapper):
    """Update at each call, without anything else."""

    def update_params(self, loss: Tensor) -> None:
        self.backward(loss)
        self.step()
        self.zero_grad()

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        loss.backward(**kwargs)  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def step(self, **kwargs: Any) -> None:
        self.optimizer.step(**kwargs)


def _wrapper(model: nn.Module) -> PlainWrapper:
    return PlainWrapper(torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9))


def test_our_wrappers_derive_from_the_base() -> None:
    assert issubclass(OptimWrapper, BaseOptimWrapper)
    assert issubclass(OptimWrapperDict, BaseOptimWrapper)


def test_base_alone_cannot_be_built() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)

    with pytest.raises(TypeError, match="abstract"):
        BaseOptimWrapper(optimizer)  # type: ignore[abstract]  # the error is what is tested


def test_wrapper_of_a_user_updates_and_reports() -> None:
    model = nn.Linear(1, 1, bias=False)
    wrapper = _wrapper(model)
    before = model.weight.detach().clone()

    with wrapper.optim_context(model):
        loss = model(torch.ones(1, 1)).sum()
    wrapper.update_params(loss)

    assert torch.equal(model.weight, before - 0.5)
    assert model.weight.grad is None
    assert wrapper.get_lr() == {"lr": [0.5]}
    assert wrapper.get_momentum() == {"momentum": [0.9]}
    assert wrapper.defaults["momentum"] == 0.9
    assert wrapper.param_groups is wrapper.optimizer.param_groups


def test_schedules_act_on_a_wrapper_of_a_user() -> None:
    wrapper = _wrapper(nn.Linear(1, 1))

    schedule: Any = LinearLR(wrapper, start_factor=0.5, end=3)

    assert wrapper.get_lr() == {"lr": [0.25]}
    wrapper.optimizer.step()
    schedule.step()
    assert wrapper.get_lr() == {"lr": [0.375]}


def test_state_with_the_base_rate_is_restored() -> None:
    wrapper, other = _wrapper(nn.Linear(1, 1)), _wrapper(nn.Linear(1, 1))
    for one in (wrapper, other):
        one.track_base_lr()
    wrapper.scale_lr(0.1)

    other.load_state_dict(wrapper.state_dict())

    assert other.get_lr() == wrapper.get_lr() == {"lr": [0.05], "base_lr": [0.05]}


def test_gradients_between_steps_are_saved_and_restored() -> None:
    model, other = nn.Linear(1, 1), nn.Linear(1, 1)
    wrapper = _wrapper(model)
    assert not wrapper.accumulation()["gradients"]
    wrapper.backward(model(torch.ones(1, 1)).sum())

    _wrapper(other).resume_accumulation(wrapper.accumulation())

    assert model.weight.grad is not None
    assert other.weight.grad is not None
    assert torch.equal(other.weight.grad, model.weight.grad)


def test_wrapper_needs_an_optimizer() -> None:
    with pytest.raises(TypeError, match=r"instance of torch\.optim\.Optimizer, got int"):
        PlainWrapper(3)  # type: ignore[arg-type]  # the error is what is tested


def test_settings_of_clipping_and_base_are_none_without_them() -> None:
    wrapper = OptimWrapper(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1))

    assert wrapper.clip_grad_kwargs is None
    assert wrapper.base_param_settings is None
