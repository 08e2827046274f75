"""A guard leaves out the steps of bad losses and of gradients that are not finite."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_optim import AmpOptimWrapper, LossJumps, OptimWrapper, StepGuard, step_of


def guarded(model: nn.Module, kind: Any = OptimWrapper, **options: Any) -> Any:
    wrapper = kind(optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), **options)
    wrapper.guard = StepGuard()
    return wrapper


@pytest.mark.parametrize("kind", [OptimWrapper, AmpOptimWrapper], ids=["plain", "amp"])
@pytest.mark.parametrize("loss", ["nan", "inf", "constant", "gradient"])
def test_bad_loss_or_gradient_leaves_weights_and_moments(kind: Any, loss: str) -> None:
    model = nn.Linear(1, 1)
    options = {"dtype": "bfloat16"} if kind is AmpOptimWrapper else {}
    wrapper = guarded(model, kind, **options)
    wrapper.update_params(model(torch.ones(1, 1)).sum())
    before = [item.clone() for item in model.state_dict().values()]
    moments = [state["momentum_buffer"].clone() for state in wrapper.optimizer.state.values()]

    wrapper.guard.begin_iteration()
    output = model(torch.ones(1, 1)).sum()
    losses = {
        "nan": output * math.nan,
        "inf": output * math.inf,
        "constant": output + math.nan,  # its own gradients are finite
        "gradient": (output * 0).sqrt(),  # 0, with an infinite gradient
    }
    wrapper.update_params(losses[loss])

    assert step_of([wrapper.guard]) == "left out"
    assert all(map(torch.equal, before, model.state_dict().values()))
    found = [state["momentum_buffer"] for state in wrapper.optimizer.state.values()]
    assert all(map(torch.equal, moments, found))
    assert all(weight.grad is None for weight in model.parameters())


def test_good_loss_has_the_same_gradients_to_the_bit() -> None:
    plain, watched = nn.Linear(3, 1), nn.Linear(3, 1)
    watched.load_state_dict(plain.state_dict())
    first = OptimWrapper(torch.optim.SGD(plain.parameters(), lr=0.1), accumulative_counts=3)
    second = OptimWrapper(torch.optim.SGD(watched.parameters(), lr=0.1), accumulative_counts=3)
    second.guard = StepGuard()

    for _ in range(6):
        data = torch.randn(4, 3)
        first.update_params(plain(data).square().mean())
        second.update_params(watched(data).square().mean())

    assert torch.equal(plain.weight, watched.weight)
    assert second.guard.left_out == 0


def test_sparse_gradients_are_searched() -> None:
    table = nn.Embedding(4, 2, sparse=True)
    wrapper = OptimWrapper(torch.optim.SGD(table.parameters(), lr=0.1))
    wrapper.guard = StepGuard()
    before = table.weight.detach().clone()

    wrapper.update_params(table(torch.tensor([1, 1])).sum() * math.nan)
    assert torch.equal(before, table.weight)
    wrapper.update_params(table(torch.tensor([1])).sum())
    assert not torch.equal(before, table.weight)


def test_model_that_calls_backward_and_step_itself_is_guarded() -> None:
    model = nn.Linear(1, 1)
    wrapper = guarded(model)
    before = model.weight.detach().clone()

    wrapper.backward(model(torch.ones(1, 1)).sum() + math.inf)
    wrapper.step()

    assert torch.equal(before, model.weight)


def test_closure_raises() -> None:
    wrapper = guarded(nn.Linear(1, 1))

    with pytest.raises(ValueError, match="closure must be None where steps of bad losses"):
        wrapper.step(closure=lambda: 0.0)


def test_schedules_miss_the_iterations_of_a_window() -> None:
    model = nn.Linear(1, 1)
    wrapper = guarded(model, accumulative_counts=3)
    counted = []
    for iteration in range(9):
        wrapper.guard.begin_iteration()
        loss = model(torch.ones(1, 1)).sum()
        wrapper.update_params(loss * math.nan if iteration == 1 else loss)
        counted.append(wrapper.guard.counts())

    assert counted == [True, True, False, False, False, True, True, True, True]


def test_jumps_are_found_in_losses_that_fall_or_are_flat() -> None:
    jumps = LossJumps(8, window=50)
    falling = [bool(jumps.found(torch.tensor(10 * 0.98**step))) for step in range(200)]
    flat = [bool(jumps.found(torch.tensor(0.5))) for _ in range(60)]

    assert not any(falling + flat)
    assert not jumps.found(torch.tensor(0.52))
    assert jumps.found(torch.tensor(0.6))
    assert not jumps.found(torch.tensor(-3.0))  # it falls


def test_state_of_a_guard_continues() -> None:
    first, second = StepGuard(LossJumps(5, 20)), StepGuard(LossJumps(5, 20))
    values: list[Tensor] = [torch.tensor(1 + 0.01 * (step % 3)) for step in range(25)]
    for value in values:
        first.marked(value)

    second.load_state_dict(first.state_dict())

    assert second.state_dict()["calls"] == 25
    assert second.jumps is not None
    assert second.jumps.found(torch.tensor(3.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "jump must be a number > 0, got 0"),
        (("9",), "jump must be a number > 0, got '9'"),
        ((9, 5), "window must be an integer >= 20, got 5"),
    ],
    ids=["zero", "text", "window"],
)
def test_wrong_limit_of_jumps_raises(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LossJumps(*arguments)
