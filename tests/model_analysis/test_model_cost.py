"""Costs, compared with counts by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_model.analysis import (
    get_model_complexity_info,
    measure_cost,
    parameter_count,
    parameter_count_table,
)


class Net(nn.Module):
    """A convolution to 6x6, a pooling to 3x3, a linear layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(36, 36)

    def forward(self, x: Tensor, scale: float = 1.0) -> dict[str, Tensor]:
        x = self.pool(self.stem(x)).flatten(1)
        return {"scores": self.head(self.head(x)) * scale}


CONV = 2 * 4 * 6 * 6 * 3 * 3 * 3
LINEAR = 2 * 36 * 36


def test_cost_equals_hand_count() -> None:
    cost = measure_cost(Net(), torch.zeros(1, 3, 8, 8))

    assert cost.params == 3 * 4 * 9 + 2 * 4 + 36 * 36 + 36
    assert cost.flops == CONV + 2 * LINEAR
    assert cost.activations == 4 * 36 + 2 * 36


def test_cost_of_each_module_equals_hand_count() -> None:
    cost = measure_cost(Net(), torch.zeros(1, 3, 8, 8))

    assert (cost["stem"].flops, cost["stem.0"].flops) == (CONV, CONV)
    assert cost["stem"].activations == 4 * 36
    assert (cost["head"].calls, cost["head"].flops) == (2, 2 * LINEAR)
    assert cost["stem.1"].params == 8
    assert [row.kind for row in cost.modules[:3]] == ["Net", "Sequential", "Conv2d"]


def test_cost_grows_with_the_batch() -> None:
    one, five = (measure_cost(Net(), torch.zeros(n, 3, 8, 8)) for n in (1, 5))

    assert five.flops == 5 * one.flops
    assert five.activations == 5 * one.activations
    assert five.params == one.params


@pytest.mark.parametrize("heads", [1, 4])
def test_cost_of_attention_equals_hand_count(heads: int) -> None:
    tokens, width = 10, 16
    attention = nn.MultiheadAttention(width, heads, batch_first=True)
    x = torch.zeros(2, tokens, width)

    cost = measure_cost(attention, x, x, x, need_weights=False)

    projections = 4 * 2 * tokens * width * width
    products = 2 * 2 * tokens * tokens * width
    assert cost.flops == 2 * (projections + products)


N, T, S, D, F = 2, 7, 5, 16, 32
"""Samples, tokens, tokens of the memory, width, and hidden width of a transformer."""
SELF_ATTENTION = N * T * 4 * D * D + N * T * T * 2 * D
CROSS_ATTENTION = N * (T + S) * 2 * D * D + N * T * S * 2 * D
FEED_FORWARD = N * T * 2 * D * F


class Products(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.bmm(a, b) + torch.einsum("bij,bjk->bik", a, b) + a @ b


@pytest.mark.parametrize(
    ("model", "shapes", "products"),
    [
        (nn.Conv1d(3, 6, 5, dilation=2), [(1, 3, 20)], (6 * 12) * 3 * 5),
        (
            nn.Conv2d(8, 12, (3, 5), stride=(2, 3), padding=(1, 2), dilation=(2, 1), groups=4),
            [(2, 8, 17, 19)],
            (2 * 12 * 8 * 7) * (8 // 4) * (3 * 5),
        ),
        (nn.Conv2d(8, 8, 3, groups=8), [(1, 8, 5, 5)], (8 * 3 * 3) * 1 * 9),
        (nn.Conv3d(2, 4, 2), [(1, 2, 3, 3, 3)], (4 * 2**3) * 2 * 2**3),
        (
            nn.ConvTranspose2d(8, 12, 3, stride=2, groups=4),
            [(2, 8, 5, 5)],
            (2 * 8 * 5 * 5) * (12 // 4) * 9,
        ),
        (Products(), [(3, 4, 5), (3, 5, 6)], 3 * (3 * 4 * 5 * 6)),
        (
            nn.TransformerEncoderLayer(D, 4, F, batch_first=True),
            [(N, T, D)],
            SELF_ATTENTION + FEED_FORWARD,
        ),
        (
            nn.TransformerDecoderLayer(D, 4, F, batch_first=True),
            [(N, T, D), (N, S, D)],
            SELF_ATTENTION + CROSS_ATTENTION + FEED_FORWARD,
        ),
        (nn.LSTM(3, 5, num_layers=2), [(T, N, 3)], N * T * 4 * 5 * ((3 + 5) + (5 + 5))),
        (nn.GRU(3, 5, bidirectional=True), [(T, N, 3)], 2 * N * T * 3 * 5 * (3 + 5)),
    ],
    ids=[
        "conv1d",
        "conv2d",
        "depthwise",
        "conv3d",
        "transposed",
        "products",
        "encoder",
        "decoder",
        "lstm",
        "gru",
    ],
)
def test_cost_of_each_kind_of_layer_equals_hand_count(
    model: nn.Module, shapes: list[tuple[int, ...]], products: int
) -> None:
    for mode in (True, False):
        cost = measure_cost(model.train(mode), *(torch.zeros(shape) for shape in shapes))
        assert cost.flops == 2 * products


def test_cost_of_a_container_is_the_sum_of_its_modules() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4))])
            self.parts = nn.ModuleDict({"used": nn.Linear(4, 4), "idle": nn.Linear(4, 4)})

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(x)
            result: Tensor = self.parts["used"](x)
            return result

    cost = measure_cost(Listed(), torch.zeros(1, 4))

    one = 2 * 4 * 4
    assert (cost.flops, cost["layers"].flops, cost["layers.1"].flops) == (3 * one, 2 * one, one)
    assert (cost["parts"].flops, cost["parts.idle"].flops) == (one, 0)
    assert cost["layers"].calls == 0


def test_cost_counts_tied_parameters_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight

    assert measure_cost(model, torch.zeros(1, 4)).params == 16
    assert parameter_count(model) == {
        "": 16,
        "0": 16,
        "0.weight": 16,
        "1": 16,
        "1.weight": 16,
    }


def test_cost_does_not_change_the_model() -> None:
    model = Net()
    model.stem.eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}

    measure_cost(model, torch.ones(2, 3, 8, 8))

    assert model.training
    assert not model.stem.training
    assert model.head.training
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_cost_restores_the_model_when_it_fails() -> None:
    model = Net()

    with pytest.raises(RuntimeError):
        measure_cost(model, torch.zeros(1, 4, 8, 8))

    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_cost_table_shows_depth() -> None:
    cost = measure_cost(Net(), torch.zeros(1, 3, 8, 8))

    assert cost.table(max_depth=1).splitlines()[0].split() == [
        "module",
        "type",
        "parameters",
        "FLOPs",
        "activations",
    ]
    assert len(cost.table(max_depth=0).splitlines()) == 2
    assert "Conv2d" in str(cost)
    assert "Conv2d" not in cost.table(max_depth=1)


def test_cost_of_unknown_module_raises_and_lists_the_modules() -> None:
    with pytest.raises(KeyError, match="head"):
        measure_cost(Net(), torch.zeros(1, 3, 8, 8))["heads"]


@pytest.mark.parametrize(
    "given",
    [
        {"input_shape": (3, 8, 8)},
        {"inputs": torch.zeros(1, 3, 8, 8)},
        {"inputs": (torch.zeros(1, 3, 8, 8), 2.0)},
        {"inputs": {"x": torch.zeros(1, 3, 8, 8), "scale": 2.0}},
    ],
    ids=["shape", "tensor", "tuple", "dict"],
)
def test_complexity_info_takes_inputs_in_each_form(given: dict[str, Any]) -> None:
    info = get_model_complexity_info(Net(), **given)

    assert info["flops"] == CONV + 2 * LINEAR
    assert info["flops_str"] == "12.960K"
    assert info["out_arch"].startswith("Net(")
    assert "Conv2d" in info["out_table"]


def test_complexity_info_omits_table_and_architecture_on_request() -> None:
    info = get_model_complexity_info(Net(), (3, 8, 8), show_table=False, show_arch=False)

    assert not {"out_table", "out_arch"} & set(info)


@pytest.mark.parametrize(
    "shape",
    [3, "3,8,8", (3, 8.0), (3, -1), ((3, 8), 5), (True,), {3: 8}],
    ids=["integer", "text", "fraction", "negative", "mixed", "bool", "dict"],
)
def test_input_shape_that_is_not_a_shape_raises(shape: Any) -> None:
    with pytest.raises(TypeError, match=r"input_shape must be a tuple of integers >= 0") as caught:
        get_model_complexity_info(nn.Linear(3, 1), shape)

    assert f"got {shape!r}" in str(caught.value)
    assert str(caught.value).endswith("; write (3,) for one dimension") == (shape == 3)


@pytest.mark.parametrize("given", [{}, {"input_shape": (1,), "inputs": torch.zeros(1)}], ids=len)
def test_complexity_info_raises_without_exactly_one_form_of_input(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either input_shape or inputs"):
        get_model_complexity_info(Net(), **given)


def test_parameter_table_stops_at_depth() -> None:
    text = parameter_count_table(Net(), max_depth=2)

    assert "head" in text
    assert "(36, 36)" in text
    assert "(4, 3, 3, 3)" not in text


def test_cost_counts_activations_of_a_module_whose_parts_did_not_run() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.zeros(1, 5, 8)

    cost = measure_cost(attention, x, x, x, need_weights=False)

    # Attention uses the weights of out_proj without calling it: three projections, the product
    # with the values, and the projection of the output.
    assert cost.activations == (3 + 1 + 1) * 5 * 8
    assert cost["out_proj"].calls == 0
