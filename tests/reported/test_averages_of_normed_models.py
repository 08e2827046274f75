"""Averages of models whose weights are computed from other parameters before each forward pass."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

from engine_model import ExponentialMovingAverage

_NORMS = {
    "weight_norm hook": weight_norm,
    "spectral_norm hook": spectral_norm,
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("norm", _NORMS.values(), ids=list(_NORMS))
@pytest.mark.parametrize("update_buffers", [False, True], ids=["", "with buffers"])
def test_average_has_the_weight_of_the_averaged_parameters(
    norm: Callable[[nn.Module], nn.Module], update_buffers: bool
) -> None:
    model = nn.Sequential(norm(nn.Linear(3, 2)))
    x = torch.randn(4, 3)
    model(x).sum().backward()
    average = ExponentialMovingAverage(model, momentum=0.5, update_buffers=update_buffers)
    average.update_parameters(model)
    first = [parameter.detach().clone() for parameter in model.parameters()]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.rand_like(parameter))
    model(x)

    average.update_parameters(model)

    with torch.no_grad():
        for parameter, old in zip(model.parameters(), first, strict=True):
            parameter.lerp_(old, 0.5)
    torch.testing.assert_close(average.eval()(x), model.eval()(x))
    assert list(average.module.state_dict()) == list(model.state_dict())


def test_copy_does_not_share_what_the_forward_pass_stored() -> None:
    model = nn.Linear(1, 1)
    model.last = [model(torch.ones(1, 1))]  # type: ignore[assignment]  # any attribute
    average = ExponentialMovingAverage(model)
    (copied,) = vars(average.module)["last"]
    assert copied is not vars(model)["last"][0]
    assert copied.grad_fn is None
