"""Clipping of gradients, and closures."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from engine_optim import OptimWrapper

Batches = list[tuple[Tensor, Tensor]]
MakeModel = Callable[[], nn.Sequential]


def assert_equal_parameters(first: nn.Module, second: nn.Module) -> None:
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def sgd(model: nn.Module, lr: float = 0.1, **options: Any) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=lr, **options)


@pytest.mark.parametrize(
    "clip",
    [
        {"max_norm": 0.1},
        {"type": "norm", "max_norm": 0.1, "norm_type": 1},
        {"max_norm": 0.1, "norm_type": "inf", "error_if_nonfinite": True},
    ],
    ids=["default", "one", "inf"],
)
def test_clipping_by_norm_equals_torch(
    clip: dict[str, Any], make_model: MakeModel, batches: Batches
) -> None:
    ours, theirs = make_model(), make_model()
    wrapper = OptimWrapper(sgd(ours), clip_grad=clip)
    optimizer = sgd(theirs)
    options = {key: value for key, value in clip.items() if key != "type"}

    for inputs, targets in batches:
        wrapper.update_params(cross_entropy(ours(inputs), targets))
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(theirs(inputs), targets))
        norm = nn.utils.clip_grad_norm_(theirs.parameters(), **options)
        optimizer.step()
        torch.testing.assert_close(wrapper.last_grad_norm, norm)

    assert_equal_parameters(ours, theirs)
    assert wrapper.last_grad_norm is not None
    assert not wrapper.last_grad_norm.requires_grad
    assert wrapper.grad_norm_name == "train/grad_norm"


@pytest.mark.parametrize(
    "clip", [{"clip_value": 0.01}, {"type": "value", "clip_value": 0.01}], ids=["bare", "typed"]
)
def test_clipping_by_value_equals_torch(
    clip: dict[str, Any], make_model: MakeModel, batches: Batches
) -> None:
    ours, theirs = make_model(), make_model()
    wrapper = OptimWrapper(sgd(ours), clip_grad=clip)
    optimizer = sgd(theirs)

    for inputs, targets in batches:
        wrapper.update_params(cross_entropy(ours(inputs), targets))
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(theirs(inputs), targets))
        nn.utils.clip_grad_value_(theirs.parameters(), 0.01)
        optimizer.step()

    assert_equal_parameters(ours, theirs)


def test_clipping_without_gradients_does_nothing(make_model: MakeModel) -> None:
    wrapper = OptimWrapper(sgd(make_model()), clip_grad={"max_norm": 1})

    wrapper.step()

    assert wrapper.last_grad_norm is None


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (
            {"type": "norms", "max_norm": 1},
            "type of clip_grad must be one of norm, value, got 'norms'",
        ),
        ({"norm_type": 2}, "clip_grad_norm_ needs the argument 'max_norm'"),
        (
            {"type": "value", "max_norm": 2},
            "clip_grad_value_ .* argument 'max_norm'; it takes: clip_value",
        ),
        ({"max_norm": 1, "norm_typ": 2}, "no argument 'norm_typ'; did you mean 'norm_type'"),
        (
            {"max_norm": 1, "clip_value": 2},
            "of type 'value': clip_grad_value_ has no argument 'max_norm'",
        ),
        ({}, "clip_grad must be a dict .* got {}"),
        (1.0, "clip_grad must be a dict .* got 1.0"),
    ],
)
def test_wrong_clipping_raises(clip: Any, message: str, make_model: MakeModel) -> None:
    with pytest.raises(ValueError, match=message):
        OptimWrapper(sgd(make_model()), clip_grad=clip)


def test_clipping_does_not_change_its_config(make_model: MakeModel) -> None:
    clip = {"type": "norm", "max_norm": 1}

    OptimWrapper(sgd(make_model()), clip_grad=clip)

    assert clip == {"type": "norm", "max_norm": 1}


def test_closure_of_lbfgs_equals_torch(make_model: MakeModel, batches: Batches) -> None:
    ours, theirs = make_model(), make_model()
    inputs, targets = batches[0]
    wrapper = OptimWrapper(torch.optim.LBFGS(ours.parameters(), max_iter=4))
    optimizer = torch.optim.LBFGS(theirs.parameters(), max_iter=4)

    def our_closure() -> Tensor:
        wrapper.zero_grad()
        loss = cross_entropy(ours(inputs), targets)
        wrapper.backward(loss)
        return loss

    def their_closure() -> Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(theirs(inputs), targets)
        torch.autograd.backward(loss)
        return loss

    for _ in range(3):
        wrapper.step(closure=our_closure)
        optimizer.step(their_closure)  # type: ignore[no-untyped-call]  # torch leaves it untyped

    assert_equal_parameters(ours, theirs)


def test_closure_through_update_params_counts_once(make_model: MakeModel) -> None:
    model = make_model()
    wrapper = OptimWrapper(
        torch.optim.LBFGS(model.parameters(), max_iter=3), clip_grad={"max_norm": 0.01}
    )

    def closure() -> Tensor:
        wrapper.zero_grad()
        loss: Tensor = model(torch.ones(2, 4)).square().mean()
        wrapper.backward(loss)
        return loss

    for _ in range(2):
        loss = model(torch.ones(2, 4)).square().mean()
        wrapper.update_params(loss, step_kwargs={"closure": closure})

    assert wrapper.inner_count == 2
    assert wrapper.last_grad_norm is not None


def test_closure_with_accumulation_raises(make_model: MakeModel) -> None:
    wrapper = OptimWrapper(sgd(make_model()), accumulative_counts=2)

    with pytest.raises(ValueError, match=r"accumulative_counts must be 1 with a closure, .* got 2"):
        wrapper.step(closure=lambda: 0.0)
