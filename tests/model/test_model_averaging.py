"""Averaged models, compared with explicit formulas and with torch."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from engine_model import (
    BaseAveragedModel,
    ExponentialMovingAverage,
    MomentumAnnealingEMA,
    StochasticWeightAverage,
)
from engine_registry import MODELS

Made = Callable[[], nn.Module]


@pytest.fixture
def model() -> Any:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(3, 3))


def drift(model: Any) -> Any:
    """Change the parameters and buffers, as a training step would."""
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.add_(torch.randn_like(tensor) if tensor.is_floating_point() else 1)
    return model


def follow(average: BaseAveragedModel, model: nn.Module, steps: int) -> list[list[Tensor]]:
    """Update the average along a drift; return the parameters at each step."""
    path = []
    for _ in range(steps):
        average.update_parameters(drift(model))
        path.append([parameter.detach().clone() for parameter in model.parameters()])
    return path


def assert_average(average: BaseAveragedModel, wanted: list[Tensor]) -> None:
    torch.testing.assert_close(
        [parameter.detach() for parameter in average.module.parameters()], wanted
    )


def blend(path: list[list[Tensor]], weight: Callable[[int], float]) -> list[Tensor]:
    wanted = path[0]
    for step, sources in enumerate(path[1:], 1):
        w = weight(step)
        wanted = [old * (1 - w) + new * w for old, new in zip(wanted, sources, strict=True)]
    return wanted


def test_ema_blends_with_its_momentum(model: Any) -> None:
    average = ExponentialMovingAverage(model, momentum=0.3)
    assert_average(average, blend(follow(average, model, 5), lambda step: 0.3))
    assert average.steps.item() == 5


def test_ema_with_warmup_reaches_its_momentum_linearly(model: Any) -> None:
    average = ExponentialMovingAverage(model, momentum=0.1, warmup_steps=4)
    weights = {1: 1 - 0.9 / 4, 2: 1 - 0.9 / 2, 3: 1 - 0.9 * 3 / 4}
    assert_average(average, blend(follow(average, model, 7), lambda step: weights.get(step, 0.1)))


def test_annealed_ema_never_falls_below_its_momentum(model: Any) -> None:
    average = MomentumAnnealingEMA(model, momentum=0.4, gamma=2)
    assert_average(average, blend(follow(average, model, 6), lambda step: max(0.4, 2 / (2 + step))))


def test_swa_is_the_mean(model: Any) -> None:
    average = StochasticWeightAverage(model)
    path = follow(average, model, 5)
    assert_average(average, [torch.stack(along).mean(0) for along in zip(*path, strict=True)])


def test_swa_with_an_interval_is_the_mean_of_the_averaged_models(model: Any) -> None:
    average = StochasticWeightAverage(model, interval=3)
    path = follow(average, model, 8)[::3]
    assert_average(average, [torch.stack(along).mean(0) for along in zip(*path, strict=True)])


def test_swa_agrees_with_torch(model: Any) -> None:
    ours, theirs = StochasticWeightAverage(model), AveragedModel(model)
    for _ in range(4):
        ours.update_parameters(drift(model))
        theirs.update_parameters(model)
    torch.testing.assert_close(list(ours.module.parameters()), list(theirs.module.parameters()))


def test_ema_agrees_with_torch(model: Any) -> None:
    ours: Any = ExponentialMovingAverage(model, momentum=0.05, update_buffers=True)
    rule = get_ema_multi_avg_fn(0.95)  # type: ignore[no-untyped-call]  # torch leaves it bare
    theirs: Any = AveragedModel(model, multi_avg_fn=rule, use_buffers=True)
    for _ in range(4):
        ours.update_parameters(drift(model))
        theirs.update_parameters(model)
    torch.testing.assert_close(list(ours.module.parameters()), list(theirs.module.parameters()))
    torch.testing.assert_close(ours.module[1].running_var, theirs.module[1].running_var)


def test_the_interval_skips_updates(model: Any) -> None:
    average = ExponentialMovingAverage(model, momentum=0.3, interval=2)
    assert_average(average, blend(follow(average, model, 6)[::2], lambda step: 0.3))
    assert average.steps.item() == 6


def test_buffers_follow_the_model_at_every_step(model: Any) -> None:
    average = ExponentialMovingAverage(model, momentum=0.3, interval=2)
    follow(average, model, 4)
    torch.testing.assert_close(list(average.module.buffers()), list(model.buffers()))


def test_averaged_buffers_copy_integers(model: Any) -> None:
    average = ExponentialMovingAverage(model, momentum=0.3, update_buffers=True)
    follow(average, model, 1)
    first = model[1].running_mean.clone()
    follow(average, model, 1)
    norm: Any = average.module.get_submodule("1")
    torch.testing.assert_close(norm.running_mean, first * 0.7 + model[1].running_mean * 0.3)
    assert norm.num_batches_tracked == model[1].num_batches_tracked


def test_mixed_types_are_averaged_per_type(model: Any) -> None:
    model[2].double()
    average = ExponentialMovingAverage(model, momentum=0.3)
    assert_average(average, blend(follow(average, model, 3), lambda step: 0.3))


def test_the_average_keeps_its_own_type_when_the_model_changes(model: Any) -> None:
    average = ExponentialMovingAverage(model, momentum=0.5)
    average.update_parameters(model)
    average.update_parameters(model.double())
    assert {parameter.dtype for parameter in average.module.parameters()} == {torch.float32}


def test_the_average_runs_and_needs_no_gradient() -> None:
    model = nn.Linear(2, 1)
    average = ExponentialMovingAverage(model)
    inputs = torch.randn(3, 2)
    assert torch.equal(average(inputs), model(inputs))
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert model.weight.requires_grad


def test_the_average_can_be_kept_on_another_device(model: Any) -> None:
    average = ExponentialMovingAverage(model, device="meta")
    assert {tensor.device.type for tensor in average.state_dict().values()} == {"meta"}


@pytest.mark.parametrize("assign", [False, True], ids=["copied", "assigned"])
def test_a_restored_average_continues(model: nn.Module, assign: bool) -> None:
    average = MomentumAnnealingEMA(model, gamma=5)
    follow(average, model, 4)
    saved = copy.deepcopy(average.state_dict())
    twin = MomentumAnnealingEMA(model, gamma=5)
    twin.load_state_dict(saved, assign=assign)
    drift(model)
    average.update_parameters(model)
    twin.update_parameters(model)
    assert twin.steps.item() == 5
    torch.testing.assert_close(average.state_dict(), twin.state_dict())


def test_steps_that_a_caller_sets_are_used(model: Any) -> None:
    average = StochasticWeightAverage(model)
    follow(average, model, 3)
    average.steps.fill_(0)
    average.update_parameters(drift(model))
    assert_average(average, [parameter.detach() for parameter in model.parameters()])


@pytest.mark.parametrize(
    "base", [BaseAveragedModel, ExponentialMovingAverage, MomentumAnnealingEMA]
)
def test_avg_func_of_a_subclass_is_used(base: Any, model: Any) -> None:
    class Greatest(base):  # type: ignore[misc]  # the base is a parameter of the test
        def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
            torch.maximum(averaged_param, source_param, out=averaged_param)

    average = Greatest(model)
    path = follow(average, model, 4)
    assert_average(average, [torch.stack(along).amax(0) for along in zip(*path, strict=True)])


def test_layer_that_replaces_another_is_averaged_from_the_next_update_on(model: Any) -> None:
    average = ExponentialMovingAverage(model, momentum=0.3)
    average.update_parameters(model)
    former = model[2].weight.detach().clone()
    model[2] = nn.Linear(3, 3)
    average.update_parameters(model)
    wanted = 0.7 * former + 0.3 * model[2].weight
    torch.testing.assert_close(average.module[2].weight, wanted.detach())  # type: ignore[index]  # it is a Sequential


def test_update_with_another_model_raises(model: Any) -> None:
    with pytest.raises(ValueError, match="has 1 parameters, but the averaged copy has 6"):
        ExponentialMovingAverage(model).update_parameters(nn.Linear(1, 1, bias=False))


def test_update_with_changed_shapes_raises() -> None:
    model = nn.Linear(1, 2, bias=False)
    average = ExponentialMovingAverage(model)
    average.update_parameters(model)
    model.weight = nn.Parameter(torch.zeros(1, 1))

    with pytest.raises(ValueError, match=r"weight is \(1, 1\) in the model, but \(2, 1\)"):
        average.update_parameters(model)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (ExponentialMovingAverage, {"momentum": 0.0}, "momentum"),
        (ExponentialMovingAverage, {"momentum": 1.5}, "momentum"),
        (ExponentialMovingAverage, {"interval": 0}, "interval"),
        (ExponentialMovingAverage, {"warmup_steps": -1}, "warmup_steps"),
        (MomentumAnnealingEMA, {"gamma": 0}, "gamma"),
    ],
)
def test_arguments_out_of_range_raise(kind: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(nn.Linear(1, 1), **arguments)


def test_a_momentum_above_one_half_warns(caplog: pytest.LogCaptureFixture) -> None:
    ExponentialMovingAverage(nn.Linear(1, 1), momentum=0.9998)
    assert "should be at most 0.5, got 0.9998" in caplog.text
    assert "did you mean 0.0002?" in caplog.text


@pytest.mark.parametrize(
    "name", ["ExponentialMovingAverage", "MomentumAnnealingEMA", "StochasticWeightAverage"]
)
def test_averages_are_built_by_name(name: str) -> None:
    assert type(MODELS.build({"type": name, "model": nn.Linear(1, 1)})).__name__ == name


def test_update_with_a_model_of_another_shape_raises() -> None:
    average = ExponentialMovingAverage(nn.Linear(3, 1))
    with pytest.raises(ValueError, match=r"weight is \(1, 1\) in the model, but \(1, 3\)"):
        average.update_parameters(nn.Linear(1, 1))
