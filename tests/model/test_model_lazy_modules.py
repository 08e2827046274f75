"""Models with lazy modules: what needs shapes says so, and weights give them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from engine_model import (
    BaseModule,
    ExponentialMovingAverage,
    convert_sync_batchnorm,
    initialize,
    kaiming_init,
    load_state_dict,
    require_shapes,
)
from engine_model.analysis import (
    FlopAnalyzer,
    get_model_complexity_info,
    observe_flops,
    parameter_count,
    parameter_count_table,
    summary_table,
)


class Net(BaseModule):
    """A lazy convolution, a lazy normalization and a lazy head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.Flatten())
        self.head = nn.LazyLinear(1)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.stem(x))


X = torch.ones(2, 1, 4, 4)
MESSAGE = r"the uninitialized LazyConv2d 'stem\.0' and 2 more; call the model once on a batch"
USES: dict[str, Callable[[nn.Module], Any]] = {
    "check": require_shapes,
    "init_weights": lambda model: model.init_weights(),  # type: ignore[operator]  # a BaseModule
    "average": ExponentialMovingAverage,
    "complexity": lambda model: get_model_complexity_info(model, (1, 4, 4)),
    "flops": lambda model: FlopAnalyzer(model, X).total(),
    "observed": lambda model: observe_flops(model, print),
    "parameters": parameter_count,
    "table": parameter_count_table,
    "summary": summary_table,
    "batch-norm": convert_sync_batchnorm,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_use_that_needs_shapes_raises_and_works_after_a_call(
    use: Callable[[nn.Module], Any],
) -> None:
    model = Net()
    with pytest.raises(ValueError, match=MESSAGE):
        use(model)

    model(X)
    use(model)


@pytest.mark.parametrize(
    "use",
    [kaiming_init, lambda layer: initialize(layer, {"type": "Kaiming", "layer": "Linear"})],
    ids=["function", "config"],
)
def test_initializer_of_a_lazy_layer_raises(use: Callable[[nn.Module], Any]) -> None:
    with pytest.raises(ValueError, match="got the uninitialized LazyLinear; call the model once"):
        use(nn.LazyLinear(2))


def test_weights_give_a_lazy_model_its_shapes() -> None:
    source, lazy = Net(), Net()
    source(X)

    report = load_state_dict(lazy, source.state_dict(), strict=True)

    require_shapes(lazy)
    assert report.fits
    assert torch.equal(lazy.eval()(X), source.eval()(X))


def test_weights_without_shapes_do_not_fit_a_model_that_has_them() -> None:
    model = Net()
    model(X)

    report = load_state_dict(model.head, nn.LazyLinear(1).state_dict() | {"bias": torch.ones(1)})

    assert not report.fits
    assert model.head.bias.item() == 1
