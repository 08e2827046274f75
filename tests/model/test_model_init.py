"""Initialization functions and initializers, against `torch.nn.init`."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import init

from engine_model import (
    BaseInit,
    BaseModule,
    Caffe2XavierInit,
    ConstantInit,
    KaimingInit,
    NormalInit,
    PretrainedInit,
    TruncNormalInit,
    UniformInit,
    XavierInit,
    bias_init_with_prob,
    caffe2_xavier_init,
    constant_init,
    initialize,
    kaiming_init,
    normal_init,
    trunc_normal_init,
    uniform_init,
    update_init_info,
    xavier_init,
)
from engine_registry import WEIGHT_INITIALIZERS

Draw = Callable[[torch.Tensor], object]

CASES: dict[str, tuple[Callable[..., None], dict[str, Any], Draw]] = {
    "constant": (constant_init, {"val": 3}, lambda w: init.constant_(w, 3)),
    "xavier": (xavier_init, {"gain": 2}, lambda w: init.xavier_normal_(w, 2)),
    "xavier uniform": (
        xavier_init,
        {"gain": 2, "distribution": "uniform"},
        lambda w: init.xavier_uniform_(w, 2),
    ),
    "normal": (normal_init, {"mean": 1, "std": 2}, lambda w: init.normal_(w, 1, 2)),
    "truncated": (
        trunc_normal_init,
        {"mean": 1, "std": 2, "a": 0, "b": 3},
        lambda w: init.trunc_normal_(w, 1, 2, 0, 3),
    ),
    "uniform": (uniform_init, {"a": -1, "b": 2}, lambda w: init.uniform_(w, -1, 2)),
    "kaiming": (
        kaiming_init,
        {"a": 0.1, "nonlinearity": "leaky_relu"},
        lambda w: init.kaiming_normal_(w, 0.1, "fan_out", "leaky_relu"),
    ),
    "kaiming uniform": (
        kaiming_init,
        {"mode": "fan_in", "distribution": "uniform"},
        lambda w: init.kaiming_uniform_(w, 0, "fan_in", "relu"),
    ),
    "caffe2": (
        caffe2_xavier_init,
        {},
        lambda w: init.uniform_(w, -math.sqrt(3 / 7), math.sqrt(3 / 7)),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_functions_draw_the_values_of_torch(case: tuple[Any, dict[str, Any], Draw]) -> None:
    function, arguments, draw = case
    linear, wanted = nn.Linear(7, 5), torch.empty(5, 7)
    torch.manual_seed(3)
    function(linear, **arguments, bias=0.5)
    torch.manual_seed(3)
    draw(wanted)
    torch.testing.assert_close(linear.weight.detach(), wanted)
    assert (linear.bias == 0.5).all()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_functions_skip_a_missing_weight_or_bias(case: tuple[Any, dict[str, Any], Draw]) -> None:
    function, arguments, _ = case
    function(nn.ReLU(), **arguments)
    function(nn.Linear(2, 2, bias=False), **arguments)


@pytest.mark.parametrize("function", [xavier_init, kaiming_init])
def test_unknown_distribution_raises(function: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="'normal', got 'cauchy'"):
        function(nn.Linear(1, 1), distribution="cauchy")


def test_bias_for_a_prior_probability() -> None:
    assert torch.sigmoid(torch.tensor(bias_init_with_prob(0.01))).item() == pytest.approx(0.01)


@pytest.mark.parametrize("prior", [0, 1, -0.1])
def test_probability_out_of_range_raises(prior: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        bias_init_with_prob(prior)


INITIALIZERS = [
    (ConstantInit, {"val": 1}, "ConstantInit: val=1, bias=0"),
    (XavierInit, {}, "XavierInit: gain=1, distribution=normal, bias=0"),
    (NormalInit, {}, "NormalInit: mean=0, std=1, bias=0"),
    (TruncNormalInit, {}, "TruncNormalInit: a=-2, b=2, mean=0, std=1, bias=0"),
    (UniformInit, {}, "UniformInit: a=0, b=1, bias=0"),
    (
        KaimingInit,
        {},
        "KaimingInit: a=0, mode=fan_out, nonlinearity=relu, distribution =normal, bias=0",
    ),
    (
        Caffe2XavierInit,
        {},
        "Caffe2XavierInit: a=1, mode=fan_in, nonlinearity=leaky_relu, distribution =uniform, "
        "bias=0",
    ),
]


@pytest.mark.parametrize(("kind", "arguments", "line"), INITIALIZERS)
def test_initializers_are_registered_without_their_suffix(
    kind: type[BaseInit], arguments: dict[str, Any], line: str
) -> None:
    name = kind.__name__.removesuffix("Init")
    built = WEIGHT_INITIALIZERS.build({"type": name, **arguments})
    assert type(built) is kind
    assert built.describe() == line


@pytest.mark.parametrize(("kind", "arguments", "line"), INITIALIZERS)
def test_initializers_change_only_their_layers(
    kind: type[Any], arguments: dict[str, Any], line: str
) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    kind(layer="Conv2d", **arguments)(net)
    changed = {name for name, value in net.state_dict().items() if (value != before[name]).any()}
    assert changed == {"1.weight", "1.bias"}


def test_layers_are_found_by_the_names_of_their_bases() -> None:
    net = nn.Sequential(nn.Conv1d(1, 1, 1), nn.BatchNorm2d(1))
    ConstantInit(4, layer=["_ConvNd", "_BatchNorm"])(net)
    assert all((parameter == 4).all() for name, parameter in net.named_parameters() if "w" in name)


def test_bias_prob_replaces_bias() -> None:
    linear = nn.Linear(1, 1)
    ConstantInit(0, bias=3, bias_prob=0.01, layer="Linear")(linear)
    assert linear.bias.item() == pytest.approx(bias_init_with_prob(0.01))


@pytest.mark.parametrize(
    "arguments", [{"bias": "0"}, {"bias_prob": "0.1"}, {"layer": 3}], ids=["bias", "prob", "layer"]
)
def test_arguments_of_other_types_raise(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(arguments))):
        NormalInit(**arguments)


@pytest.fixture
def two() -> Any:
    return nn.Sequential(
        nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1), nn.Linear(1, 1))
    )


def test_initialize_leaves_its_config_unchanged(two: Any) -> None:
    override = {"name": "1", "type": "Constant", "val": 2}
    cfg = {"type": "Constant", "layer": "Linear", "val": 1, "override": override}
    initialize(two, cfg)
    assert cfg == {"type": "Constant", "layer": "Linear", "val": 1, "override": override}
    assert override == {"name": "1", "type": "Constant", "val": 2}


def test_override_initializes_all_layers_of_the_named_module(two: Any) -> None:
    override = {"name": "1", "type": "Constant", "val": 2, "bias": 5}
    initialize(two, {"type": "Constant", "layer": "Linear", "val": 1, "override": override})
    assert two[0].weight.item() == 1
    assert [two[1][i].weight.item() for i in range(3)] == [2, 2, 2]
    assert [two[1][i].bias.item() for i in range(3)] == [5, 5, 5]


def test_override_with_layers_initializes_only_those(two: Any) -> None:
    override = {"name": "1", "type": "Constant", "val": 2, "layer": "BatchNorm1d"}
    initialize(two, {"type": "Constant", "layer": "Linear", "val": 1, "override": [override]})
    assert [two[1][i].weight.item() for i in range(3)] == [1, 2, 1]


def test_override_with_a_name_alone_applies_the_outer_config_there(two: Any) -> None:
    before = two[0].weight.item()
    initialize(two, {"type": "Constant", "val": 3, "override": {"name": "1.2"}})
    assert two[1][2].weight.item() == 3
    assert two[0].weight.item() == before


def test_override_skips_weights_without_fans(two: Any) -> None:
    override = {"name": "1", "type": "Xavier"}
    initialize(two, {"type": "Constant", "layer": "Linear", "val": 1, "override": override})
    assert two[1][1].weight.item() == 1


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ({"type": "Constant", "val": 1}, ValueError, "must have `name`"),
        ({"name": "1", "val": 1}, ValueError, "must have `type`"),
        ({"name": "head", "type": "Xavier"}, AttributeError, "it has 0, 1"),
        ("1", TypeError, "override must be a dict"),
    ],
    ids=["no name", "no type", "unknown", "string"],
)
def test_incomplete_override_raises(
    two: Any, override: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        initialize(two, {"type": "Constant", "layer": "Linear", "val": 1, "override": override})


@pytest.mark.parametrize("cfg", ["Xavier", [1], 3], ids=repr)
def test_configs_of_other_types_raise(two: Any, cfg: Any) -> None:
    with pytest.raises(TypeError, match="init_cfg must be a dict or a list of dicts"):
        initialize(two, cfg)


def test_a_config_that_names_no_layer_warns(two: Any, caplog: pytest.LogCaptureFixture) -> None:
    initialize(two, {"type": "Normal"})
    assert "initializes nothing in Sequential" in caplog.text


def test_a_custom_initializer_needs_only_to_be_callable() -> None:
    class Sevens:
        def __call__(self, module: nn.Module) -> None:
            for parameter in module.parameters():
                init.constant_(parameter, 7)

    class Net(BaseModule):
        def __init__(self) -> None:
            super().__init__({"type": Sevens})
            self.linear = nn.Linear(1, 1)

    net = Net()
    net.init_weights()
    assert net.linear.bias.item() == 7


def test_initializer_of_the_field_calls_its_own_line_of_the_log(
    init_log: Callable[[], list[str]],
) -> None:
    @WEIGHT_INITIALIZERS.register_module()
    class Filled(BaseInit):
        def __init__(self, val: float, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.val = val

        def __call__(self, module: nn.Module) -> None:
            def fill(layer: nn.Module) -> None:
                if self.wholly_init or type(layer).__name__ in self.layer:
                    constant_init(layer, self.val, self.bias)

            module.apply(fill)
            if hasattr(module, "_params_init_info"):
                update_init_info(module, init_info=self._get_init_info())

        def _get_init_info(self) -> str:
            return f"{type(self).__name__}: filled with {self.val}"

    class Described(ConstantInit):
        def _get_init_info(self) -> str:
            return f"own line, {super()._get_init_info()}"

    WEIGHT_INITIALIZERS.register_module(module=Described)
    net = BaseModule(
        [
            {"type": "Filled", "layer": "Linear", "val": 3, "bias": 1},
            {"type": "Described", "layer": "Conv2d", "val": 4},
        ]
    )
    net.linear, net.conv = nn.Linear(1, 1), nn.Conv2d(1, 1, 1)
    net.init_weights()
    assert net.linear.bias.item() == 1
    assert [line.split("\n")[2] for line in init_log()] == [
        *["Filled: filled with 3 "] * 2,
        *["own line, Described: val=4, bias=0 "] * 2,
    ]
    assert PretrainedInit("a.pth")._get_init_info() == "PretrainedInit: load from a.pth"


def test_initializer_without_a_rule_raises() -> None:
    class Empty(BaseInit):
        pass

    with pytest.raises(TypeError, match=r"Empty must implement initialize_layer\(layer\), or"):
        Empty()


def test_a_misspelt_layer_warns_and_names_the_classes(
    two: Any, caplog: pytest.LogCaptureFixture
) -> None:
    initialize(two, {"type": "Constant", "layer": ["Linea", "Conv"], "val": 1})
    assert "no layer of the class Linea or Conv; its classes are " in caplog.text
    caplog.clear()
    initialize(two, {"type": "Constant", "layer": ["Linear", "Conv2d"], "val": 1})
    assert not caplog.records


def test_an_initializer_that_fails_adds_the_layer_to_the_error() -> None:
    net = nn.ModuleDict({"norm": nn.BatchNorm1d(2)})
    with pytest.raises(ValueError, match="Fan in") as caught:
        initialize(net, {"type": "Xavier", "layer": "BatchNorm1d"})
    (note,) = caught.value.__notes__
    assert "norm (BatchNorm1d) by XavierInit: gain=1" in note
