"""`FlopAnalyzer` and `ActivationAnalyzer`, compared with counts by hand."""

import logging
import warnings
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine_model.analysis import (
    ActivationAnalyzer,
    FlopAnalyzer,
    OpValue,
    activation_count,
    flop_count,
    get_model_complexity_info,
)


class Net(nn.Module):
    """The model of the documentation: 3000 operations of a convolution, 10000 of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(in_features=1000, out_features=10)
        self.conv = nn.Conv2d(in_channels=3, out_channels=10, kernel_size=1)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.act(self.conv(x)).flatten(1))
        return scores


IMAGE = torch.zeros(1, 3, 10, 10)


class Call(nn.Module):
    """Call a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def test_flop_analyzer_returns_the_documented_counts() -> None:
    flops = FlopAnalyzer(Net(), (IMAGE,))

    assert flops.total() == 13000
    assert flops.total("fc") == 10000
    assert flops.by_operator() == Counter({"linear": 10000, "conv": 3000})
    assert flops.by_module() == Counter({"": 13000, "fc": 10000, "conv": 3000, "act": 0})
    assert flops.by_module_and_operator() == {
        "": Counter({"linear": 10000, "conv": 3000}),
        "fc": Counter({"linear": 10000}),
        "conv": Counter({"conv": 3000}),
        "act": Counter(),
    }
    assert not flops.uncalled_modules()
    assert not flops.unsupported_ops()


def test_activation_analyzer_counts_outputs_of_convolutions_and_products() -> None:
    activations = ActivationAnalyzer(Net(), IMAGE)

    assert activations.by_operator() == Counter({"conv": 1000, "linear": 10})
    assert activations.total("conv") == 1000


def test_counts_come_in_billions_and_millions() -> None:
    flops, unsupported = flop_count(Net(), (IMAGE,))
    activations, _ = activation_count(Net(), (IMAGE,))

    assert flops == {"conv": 3e-6, "linear": 1e-5}
    assert not unsupported
    assert activations == {"conv": 1e-3, "linear": 1e-5}
    assert flops["einsum"] == 0


def test_flop_count_uses_the_handles_given() -> None:
    flops, _ = flop_count(Net(), IMAGE, {"aten::linear": lambda inputs, outputs: 2e9})

    assert flops == {"conv": 3e-6, "linear": 2.0}


B, H, Q, K, E, V = 2, 3, 5, 7, 4, 6


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(q, k, v)


@pytest.mark.parametrize(
    ("model", "shapes", "expected"),
    [
        (nn.Conv1d(4, 6, 3, groups=2), [(2, 4, 9)], {"conv": 2 * 7 * 6 * 2 * 3}),
        (nn.Conv2d(4, 6, 3, padding=1), [(4, 8, 8)], {"conv": 64 * 6 * 4 * 9}),
        (nn.ConvTranspose1d(4, 6, 3), [(2, 4, 9)], {"conv": 2 * 9 * 6 * 4 * 3}),
        (nn.Linear(3, 4), [(2, 5, 3)], {"linear": 2 * 5 * 3 * 4}),
        (Call(torch.matmul), [(2, 3, 4), (4, 5)], {"matmul": 2 * 3 * 4 * 5}),
        (Call(torch.matmul), [(4,), (4,)], {"matmul": 4}),
        (Call(torch.bmm), [(2, 3, 4), (2, 4, 5)], {"bmm": 2 * 3 * 4 * 5}),
        (Call(torch.addmm), [(5,), (3, 4), (4, 5)], {"addmm": 3 * 4 * 5}),
        (Call(torch.baddbmm), [(2, 3, 5), (2, 3, 4), (2, 4, 5)], {"baddbmm": 2 * 3 * 4 * 5}),
        (Call(torch.addbmm), [(3, 5), (2, 3, 4), (2, 4, 5)], {"addbmm": 2 * 3 * 4 * 5}),
        (
            Call(attention),
            [(B, H, Q, E), (B, H, K, E), (B, H, K, V)],
            {"scaled_dot_product_attention": B * H * Q * K * (E + V)},
        ),
        (nn.BatchNorm2d(3), [(2, 3, 4, 4)], {"batch_norm": 5 * 96}),
        (nn.BatchNorm2d(3).eval(), [(2, 3, 4, 4)], {"batch_norm": 2 * 96}),
        (nn.BatchNorm2d(3, affine=False).eval(), [(2, 3, 4, 4)], {"batch_norm": 96}),
        (nn.LayerNorm(4), [(2, 3, 4)], {"layer_norm": 5 * 24}),
        (nn.GroupNorm(2, 4, affine=False), [(2, 4, 3)], {"group_norm": 4 * 24}),
        (nn.InstanceNorm1d(4), [(2, 4, 3)], {"instance_norm": 4 * 24}),
        (nn.RMSNorm(4), [(2, 3, 4)], {"rms_norm": 4 * 24}),
        (nn.AdaptiveAvgPool2d(1), [(2, 3, 4, 4)], {"adaptive_avg_pool2d": 96}),
        (nn.LSTM(3, 5, proj_size=2), [(7, 2, 3)], {"lstm": 14 * (20 * 3 + 20 * 2 + 2 * 5)}),
        (nn.RNN(3, 5, bidirectional=True), [(7, 2, 3)], {"rnn_tanh": 14 * 2 * 5 * (3 + 5)}),
        (nn.LSTMCell(3, 5), [(2, 3)], {"linear": 2 * 20 * (3 + 5)}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_operators_equal_hand_counts(
    model: nn.Module, shapes: list[tuple[int, ...]], expected: dict[str, int]
) -> None:
    flops = FlopAnalyzer(model, tuple(torch.zeros(shape) for shape in shapes))

    assert flops.by_operator() == Counter(expected)


@pytest.mark.parametrize(
    ("equation", "shapes", "expected"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], 2 * 3 * 4),
        ("bij,bjk", [(5, 2, 3), (5, 3, 4)], 5 * 2 * 3 * 4),
        ("b...d,hd->bh...", [(5, 6, 7, 3), (4, 3)], 5 * 6 * 7 * 3 * 4),
        ("...ij,...jk", [(6, 2, 3), (1, 3, 4)], 6 * 2 * 3 * 4),
        ("ij,ij->", [(2, 3), (2, 3)], 6),
        ("ii->i", [(3, 3)], 0),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], 2 * 3 * 4 + 2 * 4 * 5),
    ],
    ids=["product", "implicit", "ellipsis", "broadcast", "dot", "diagonal", "three"],
)
def test_einsum_equals_hand_count(
    equation: str, shapes: list[tuple[int, ...]], expected: int
) -> None:
    model = Call(lambda *operands: torch.einsum(equation, *operands))

    flops = FlopAnalyzer(model, tuple(torch.zeros(shape) for shape in shapes))

    assert flops.by_operator()["einsum"] == expected


def test_packed_sequences_count_their_steps_only() -> None:
    packed = nn.utils.rnn.pack_sequence([torch.zeros(4, 3), torch.zeros(2, 3)])

    flops = FlopAnalyzer(nn.GRU(3, 5), (packed,))

    assert flops.by_operator() == Counter({"gru": 6 * 15 * (3 + 5)})


class Shared(nn.Module):
    """Use one layer under two names, and each twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 4))
        self.second = self.first
        self.idle = nn.Linear(4, 4)
        self.layers = nn.ModuleList([nn.Linear(4, 4)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x))
        result: Tensor = self.layers[0](x) @ x.T
        return result


def test_shared_modules_count_under_their_first_name() -> None:
    flops = FlopAnalyzer(Shared(), torch.zeros(1, 4))

    assert flops.total() == 3 * 16 + 4
    assert flops.by_module() == Counter(
        {"": 52, "first": 32, "first.0": 32, "layers": 16, "layers.0": 16, "idle": 0}
    )
    assert flops.canonical_module_name("second.0") == "first.0"
    assert flops.total("second") == 32
    assert flops.uncalled_modules() == {"idle", "layers"}


def test_ancestor_mode_selects_the_modules_of_an_operator() -> None:
    class Borrower(nn.Module):
        """Call a layer that another module owns."""

        def __init__(self) -> None:
            super().__init__()
            self.owner = nn.ModuleList([nn.Linear(4, 4)])
            self.caller = Call(self.owner[0])

        def forward(self, x: Tensor) -> Any:
            return self.caller(x)

    model = Borrower()
    del model.caller._modules["function"]
    model.caller.function = lambda x: model.owner[0](x)
    flops = FlopAnalyzer(model, torch.zeros(1, 4))

    assert flops.by_module() == Counter({"": 16, "owner": 16, "owner.0": 16, "caller": 0})
    flops.ancestor_mode("caller")
    assert flops.by_module() == Counter({"": 16, "caller": 16, "owner.0": 16, "owner": 0})
    with pytest.raises(ValueError, match="mode must be one of owner, caller, got 'parent'"):
        flops.ancestor_mode("parent")


def test_unknown_module_raises_with_the_closest_name() -> None:
    with pytest.raises(KeyError, match="did you mean 'conv'"):
        FlopAnalyzer(Net(), IMAGE).total("cnv")


def test_unsupported_operators_are_counted_by_module() -> None:
    flops = FlopAnalyzer(nn.Sequential(nn.Sigmoid(), nn.GELU(), nn.GELU()), torch.zeros(1, 4))

    assert flops.unsupported_ops() == Counter({"aten::gelu": 2, "aten::sigmoid": 1})
    assert flops.unsupported_ops("1") == Counter({"aten::gelu": 1})


def test_warnings_come_once_and_can_be_left_out(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Sequential(Shared(), nn.Sigmoid())
    caplog.set_level(logging.WARNING, "engine.model")

    flops = FlopAnalyzer(model, torch.zeros(1, 4))
    flops.total()
    flops.total()

    assert [record.getMessage() for record in caplog.records] == [
        "FlopAnalyzer does not count these operators: aten::sigmoid (1 times).",
        "FlopAnalyzer: these modules were never called: 0.idle.",
    ]
    caplog.clear()
    quiet = flops.copy().unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    assert quiet.total() == flops.total()
    assert not caplog.records


@pytest.mark.parametrize(("mode", "shown"), [("all", 1), ("no_tracer_warning", 1), ("none", 0)])
def test_warnings_of_the_forward_are_shown_by_mode(mode: str, shown: int) -> None:
    def warn(x: Tensor) -> Tensor:
        warnings.warn("from the model", UserWarning, stacklevel=1)
        return x

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        FlopAnalyzer(Call(warn), IMAGE).tracer_warnings(mode).total()

    assert len(caught) == shown


def test_handles_written_for_jit_values_run() -> None:
    def handle(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        assert inputs[0].isCompleteTensor()
        assert inputs[3].toIValue() == [1, 1]
        return Counter({"mine": outputs[0].type().sizes()[1]})

    flops = FlopAnalyzer(Net(), IMAGE)

    flops.set_op_handle("aten::_convolution", handle, "aten::linear", None)
    assert flops.by_operator() == Counter({"mine": 10})
    flops.set_op_handle(**{"aten::linear": lambda inputs, outputs: 7})
    assert flops.by_operator() == Counter({"mine": 10, "linear": 7})
    assert flops.copy().by_operator() == flops.by_operator()


def test_handles_of_lists_get_their_entries() -> None:
    def handle(inputs: list[OpValue], outputs: list[OpValue]) -> int:
        return sum(value.elements for value in inputs[0].node().inputs())

    model = Call(lambda a, b: torch.cat([a, b]))
    flops = FlopAnalyzer(model, (torch.zeros(2), torch.zeros(3)))

    assert flops.set_op_handle("aten::cat", handle).by_operator() == Counter({"cat": 5})


def test_without_handles_nothing_is_counted() -> None:
    flops = FlopAnalyzer(Net(), IMAGE).clear_op_handles()

    assert flops.total() == 0
    assert set(flops.unsupported_ops()) == {"aten::_convolution", "aten::addmm"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("aten::bmm",), "pairs of a name and a handle, got 1"),
        ((3, None), "name of an operator must be a str, got 3"),
        (("aten::bmm", 3), "handle of 'aten::bmm' must be a function or None, got 3"),
    ],
    ids=["odd", "name", "handle"],
)
def test_wrong_handles_raise(args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        FlopAnalyzer(Net(), IMAGE).set_op_handle(*args)


def test_copy_takes_another_model_and_inputs() -> None:
    flops = FlopAnalyzer(Net(), IMAGE).set_op_handle("aten::linear", None)

    assert flops.copy(new_inputs=IMAGE.repeat(2, 1, 1, 1)).total() == 6000
    assert flops.copy(nn.Linear(2, 2), torch.zeros(1, 2)).total() == 0


@pytest.mark.parametrize(
    "inputs",
    [({"a": torch.ones(1, 3)}, [torch.ones(3, 2)]), {"tree": {"a": torch.ones(1, 3)}}],
    ids=["nested", "named"],
)
def test_inputs_may_be_nested_and_named(inputs: Any) -> None:
    def call(tree: dict[str, Tensor], weights: Any = None) -> dict[str, Any]:
        weight = torch.ones(3, 2) if weights is None else weights[0]
        return {"out": (tree["a"] @ weight, "text")}

    assert FlopAnalyzer(Call(call), inputs).total() == 6


def test_wrapped_and_uninitialized_models_raise() -> None:
    with pytest.raises(TypeError, match=r"got DataParallel; pass model\.module"):
        FlopAnalyzer(nn.DataParallel(nn.Linear(1, 1)), torch.zeros(1, 1)).total()
    with pytest.raises(ValueError, match=r"uninitialized LazyLinear '0'; call the model once"):
        FlopAnalyzer(nn.Sequential(nn.LazyLinear(2)), torch.zeros(1, 1)).total()


class Bottleneck(nn.Module):
    """A block of ResNet-50."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            *(nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)),
        )
        self.skip = nn.Sequential()
        if inputs != 4 * width:
            self.skip = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.skip(x))


def resnet50() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)]
    layers += [nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            stride = 2 if block == 0 and width > 64 else 1
            layers.append(Bottleneck(inputs, width, stride))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def test_complexity_of_resnet50_is_the_published_one() -> None:
    with torch.device("meta"):
        model = resnet50()

    info = get_model_complexity_info(model, (3, 224, 224))

    assert info["flops_str"] == "8.178G"  # of 4.089 G multiplications with additions
    assert info["params_str"] == "25.557M"
    assert info["activations_str"] == "11.115M"


def test_complexity_info_takes_the_shapes_of_several_inputs() -> None:
    info = get_model_complexity_info(Call(torch.matmul), ((2, 3), (3, 4)))

    assert info["flops"] == 2 * 2 * 3 * 4
