"""From configs to wrappers, with options by parameter."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from engine_optim import (
    AmpOptimWrapper,
    CosineAnnealingLR,
    DefaultOptimWrapperConstructor,
    LinearLR,
    OneCycleLR,
    OptimWrapper,
    OptimWrapperDict,
    build_optim_wrapper,
    merge_equal_groups,
    param_table,
)
from engine_registry import MODEL_WRAPPERS, OPTIM_WRAPPER_CONSTRUCTORS


class ToyModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({"layer0": nn.Linear(1, 1), "layer1": nn.Linear(1, 1)})
        self.head = nn.Sequential(
            OrderedDict(linear=nn.Linear(1, 1), bn=nn.BatchNorm1d(1)),
        )


class ModulatedDeformConv2d(nn.Module):
    """Stands for the class of that name in a library of operators."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 2))
        self.bias = nn.Parameter(torch.zeros(2))
        self.conv_offset = nn.Conv2d(2, 2, 1)


class Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.dw = nn.Conv2d(4, 4, 1, groups=4)
        self.norms = nn.ModuleList(
            [
                nn.BatchNorm2d(4),
                nn.GroupNorm(2, 4),
                nn.LayerNorm(4),
                nn.InstanceNorm2d(4, affine=True),
            ]
        )
        self.dcn = ModulatedDeformConv2d()
        self.scale = nn.Parameter(torch.ones(4))
        self.token = nn.Parameter(torch.ones(1, 4))


def options(
    model: nn.Module, paramwise: dict[str, Any] | None = None
) -> dict[str, tuple[Any, Any]]:
    """Return ``(lr, weight_decay)`` of each parameter, of base values 1 and 0.1."""
    cfg: dict[str, Any] = {"optimizer": {"type": "SGD", "lr": 1.0, "weight_decay": 0.1}}
    wrapper = build_optim_wrapper(model, {**cfg, "paramwise_cfg": paramwise})
    table = param_table(model, wrapper)
    assert table.left_out == []
    return {row.name: (row.options["lr"], row.options["weight_decay"]) for row in table.rows}


def test_config_without_options_makes_one_group() -> None:
    model = ToyModel()

    wrapper = build_optim_wrapper(model, {"optimizer": {"type": "SGD", "lr": 0.01}})

    assert type(wrapper) is OptimWrapper
    assert len(wrapper.param_groups) == 1
    assert wrapper.param_groups[0]["params"] == list(model.parameters())
    assert wrapper.get_lr() == {"lr": [0.01]}


def test_config_is_not_changed() -> None:
    cfg: dict[str, Any] = {
        "type": "AmpOptimWrapper",
        "dtype": "bfloat16",
        "optimizer": {"type": "Adam", "lr": 0.1},
        "paramwise_cfg": {"custom_keys": {"head": {"lr_mult": 0.1}}},
        "accumulative_counts": 3,
    }
    copy = {k: dict(v) if isinstance(v, dict) else v for k, v in cfg.items()}

    first, second = (build_optim_wrapper(ToyModel(), cfg) for _ in range(2))

    assert cfg == copy
    assert isinstance(first, AmpOptimWrapper)
    assert first.get_lr() == second.get_lr()


def test_norm_decay_gives_the_documented_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "engine")

    build_optim_wrapper(
        ToyModel(),
        {
            "optimizer": {"type": "SGD", "lr": 0.01, "weight_decay": 0.0001},
            "paramwise_cfg": {"norm_decay_mult": 0},
        },
    )

    lines = [record.getMessage().removeprefix("paramwise_options -- ") for record in caplog.records]
    assert lines == [
        "backbone.layer0.bias:lr=0.01",
        "backbone.layer0.bias:weight_decay=0.0001",
        "backbone.layer1.bias:lr=0.01",
        "backbone.layer1.bias:weight_decay=0.0001",
        "head.linear.bias:lr=0.01",
        "head.linear.bias:weight_decay=0.0001",
        "head.bn.weight:weight_decay=0.0",
        "head.bn.bias:weight_decay=0.0",
    ]


def test_custom_keys_give_the_documented_groups(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "engine")
    model = ToyModel()

    wrapper = build_optim_wrapper(
        model,
        {
            "optimizer": {"type": "SGD", "lr": 0.01, "weight_decay": 0.0001},
            "paramwise_cfg": {
                "custom_keys": {
                    "backbone.layer0": {"lr_mult": 0, "decay_mult": 0},
                    "backbone": {"lr_mult": 1},
                    "head": {"lr_mult": 0.1},
                }
            },
        },
    )

    groups = wrapper.param_groups
    assert [group["params"][0] for group in groups] == list(model.parameters())
    assert [group["lr"] for group in groups] == [0, 0, 0.01, 0.01, *[pytest.approx(0.001)] * 4]
    assert [group["weight_decay"] for group in groups] == [0.0] * 2 + [0.0001] * 6
    assert (groups[0]["lr_mult"], groups[0]["decay_mult"]) == (0, 0)
    assert "decay_mult" not in groups[2]
    lines = [record.getMessage().removeprefix("paramwise_options -- ") for record in caplog.records]
    assert lines[:4] == [
        "backbone.layer0.weight:lr=0.0",
        "backbone.layer0.weight:weight_decay=0.0",
        "backbone.layer0.weight:lr_mult=0",
        "backbone.layer0.weight:decay_mult=0",
    ]
    assert len(lines) == 2 * 4 + 6 * 3


@pytest.mark.parametrize(
    ("paramwise", "expected"),
    [
        ({"lr_mult": 0.5}, {"conv.weight": (0.5, 0.1), "norms.0.bias": (0.5, 0.1)}),
        ({"decay_mult": 0.5}, {"conv.weight": (1, 0.05), "token": (1, 0.05)}),
        (
            {"lr_mult": 0.5, "bias_lr_mult": 2},
            {"conv.weight": (0.5, 0.1), "conv.bias": (1.0, 0.1), "norms.0.bias": (0.5, 0.1)},
        ),
        (
            {"bias_lr_mult": 2, "bias_decay_mult": 0},
            {
                "conv.bias": (2, 0),
                "dw.bias": (2, 0.1),
                "norms.0.bias": (1, 0.1),
                "dcn.bias": (2, 0),
                "dcn.conv_offset.bias": (1, 0.1),
                "conv.weight": (1, 0.1),
                "scale": (1, 0.1),
            },
        ),
        (
            {"norm_decay_mult": 0},
            {f"norms.{i}.{name}": (1, 0) for i in range(4) for name in ("weight", "bias")}
            | {"conv.bias": (1, 0.1)},
        ),
        (
            {"dwconv_decay_mult": 0},
            {"dw.weight": (1, 0), "dw.bias": (1, 0), "conv.weight": (1, 0.1)},
        ),
        (
            {"flat_decay_mult": 0},
            {
                "scale": (1, 0),
                "conv.bias": (1, 0),
                "norms.0.weight": (1, 0),
                "token": (1, 0.1),
                "conv.weight": (1, 0.1),
            },
        ),
        (
            {"flat_decay_mult": 0, "norm_decay_mult": 0.5},
            {"scale": (1, 0), "norms.1.weight": (1, 0.05)},
        ),
        (
            {"dcn_offset_lr_mult": 0.1, "bias_lr_mult": 2},
            {
                "dcn.conv_offset.weight": (0.1, 0.1),
                "dcn.conv_offset.bias": (0.1, 0.1),
                "dcn.weight": (1, 0.1),
                "conv.bias": (2, 0.1),
            },
        ),
        (
            {"custom_keys": {"norms": {"decay_mult": 0.5}}, "norm_decay_mult": 0, "lr_mult": 3},
            {"norms.0.weight": (1, 0.05), "conv.weight": (3, 0.1)},
        ),
    ],
    ids=[
        *("lr", "decay", "lr and bias", "bias", "norm", "depthwise", "flat", "flat and norm"),
        *("dcn offset", "custom key"),
    ],
)
def test_factor_applies_to_what_it_is_about(
    paramwise: dict[str, Any], expected: dict[str, tuple[float, float]]
) -> None:
    found = options(Everything(), paramwise)

    for name, (lr, decay) in expected.items():
        assert found[name] == (pytest.approx(lr), pytest.approx(decay)), name


def test_longest_custom_key_counts_then_the_alphabet() -> None:
    model = nn.ModuleDict({"abc": nn.Linear(1, 1, bias=False), "xbc": nn.Linear(1, 1, bias=False)})
    keys = {"bc": 2, "abc": 3, "xb": 4, "c.": 5, "bc.w": 6, "c.we": 7}

    found = options(model, {"custom_keys": {key: {"lr_mult": mult} for key, mult in keys.items()}})

    assert [lr for lr, _ in found.values()] == [6, 6]


def test_frozen_parameters_keep_the_base_options() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    model[1].requires_grad_(False)

    assert options(model, {"norm_decay_mult": 0})["1.weight"] == (1, 0.1)


def test_duplicate_parameters_are_passed_over_when_told(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))
    model[1][0].weight = model[0].weight  # type: ignore[index]  # Sequential of Sequential
    cfg: dict[str, Any] = {"optimizer": {"type": "SGD", "lr": 0.1}}

    wrapper = build_optim_wrapper(
        model, {**cfg, "paramwise_cfg": {"bypass_duplicate": True, "bias_lr_mult": 2}}
    )

    assert len(wrapper.param_groups) == 3
    assert "1.0.weight is duplicate" in caplog.text
    with pytest.raises(ValueError, match="more than one parameter group"):
        build_optim_wrapper(model, {**cfg, "paramwise_cfg": {"bias_lr_mult": 2}})


def test_wrapped_model_gives_the_names_of_the_model() -> None:
    @MODEL_WRAPPERS.register_module(name="TestOnlyWrapper")
    class Wrapper(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

    try:
        model = Wrapper(nn.DataParallel(ToyModel()))
        wrapper = build_optim_wrapper(
            model,
            {
                "optimizer": {"type": "SGD", "lr": 1.0},
                "paramwise_cfg": {"custom_keys": {"module": {"lr_mult": 0}}},
            },
        )
    finally:
        del MODEL_WRAPPERS.module_dict["TestOnlyWrapper"]

    assert [group["lr"] for group in wrapper.param_groups] == [1.0] * 8


def test_equal_options_are_merged_on_request() -> None:
    model = ToyModel()
    paramwise = {"norm_decay_mult": 0, "bias_lr_mult": 2, "merge_equal": True}

    merged = options(model, paramwise)

    assert merged == options(model, {"norm_decay_mult": 0, "bias_lr_mult": 2})
    cfg = {"optimizer": {"type": "SGD", "lr": 1.0, "weight_decay": 0.1}}
    groups = build_optim_wrapper(model, {**cfg, "paramwise_cfg": paramwise}).param_groups
    assert [len(group["params"]) for group in groups] == [3, 3, 2]


def test_merged_groups_train_like_single_ones(make_model: Callable[[], nn.Sequential]) -> None:
    results = []
    for merge in (False, True):
        model = make_model()
        wrapper = build_optim_wrapper(
            model,
            {
                "optimizer": {"type": "Adam", "lr": 0.1},
                "paramwise_cfg": {"bias_lr_mult": 2, "merge_equal": merge},
            },
        )
        for _ in range(3):
            wrapper.update_params(model(torch.ones(2, 4)).square().mean())
        results.append(model.state_dict())

    for first, second in zip(results[0].values(), results[1].values(), strict=True):
        torch.testing.assert_close(first, second)


def test_merge_leaves_its_input_alone() -> None:
    groups: list[dict[str, Any]] = [{"params": [1], "lr": 1}, {"params": [2]}]

    assert merge_equal_groups(groups, {"lr": 1}) == [{"params": [1, 2], "lr": 1}]
    assert groups == [{"params": [1], "lr": 1}, {"params": [2]}]


def test_base_lr_follows_the_schedule_beside_the_groups() -> None:
    cfg = {
        "optimizer": {"type": "SGD", "lr": 0.1},
        "paramwise_cfg": {"custom_keys": {"backbone": {"lr_mult": 0}, "head": {"lr_mult": 2}}},
    }
    wrapper = build_optim_wrapper(ToyModel(), cfg)
    scheduler = LinearLR(wrapper, start_factor=0.5, end=3)

    assert wrapper.get_lr()["base_lr"] == [0.05]
    scheduler.step()
    assert wrapper.get_lr()["base_lr"] == [pytest.approx(0.075)]
    assert wrapper.get_lr()["lr"] == pytest.approx([0] * 4 + [0.15] * 4)

    restored = build_optim_wrapper(ToyModel(), cfg)
    restored.load_state_dict(wrapper.state_dict())
    assert restored.get_lr() == wrapper.get_lr()
    assert len(restored.param_groups) == 8


def test_base_lr_goes_with_schedules_that_do_not_chain() -> None:
    cfg = {"optimizer": {"type": "SGD", "lr": 0.1}, "paramwise_cfg": {"bias_lr_mult": 2}}
    wrapper = build_optim_wrapper(nn.Linear(1, 1), cfg)

    OneCycleLR(wrapper, eta_max=1.0, total_steps=10)
    CosineAnnealingLR(wrapper, T_max=4)

    assert wrapper.get_lr() == {"lr": [0.04, 0.04], "base_lr": [0.04]}


def test_custom_constructor_as_documented(caplog: pytest.LogCaptureFixture) -> None:
    class LayerDecayConstructor(DefaultOptimWrapperConstructor):
        def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
            super().__init__(optim_wrapper_cfg, paramwise_cfg=None)
            self.decay_factor = paramwise_cfg.get("decay_factor", 0.5)
            super().__init__(optim_wrapper_cfg, paramwise_cfg)

        def add_params(
            self, params: list[Any], module: nn.Module, prefix: str = "", lr: float | None = None
        ) -> None:
            lr = self.base_lr if lr is None else lr
            assert lr is not None
            for _, param in module.named_parameters(recurse=False):
                params.append({"params": [param], "lr": lr})
            for name, child in module.named_children():
                self.add_params(params, child, f"{prefix}.{name}", lr=lr * self.decay_factor)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.ModuleDict({"linear": nn.Linear(1, 1)})
            self.linear = nn.Linear(1, 1)

    wrapper = build_optim_wrapper(
        Model(),
        {
            "optimizer": {"type": "SGD", "lr": 0.01, "weight_decay": 0.0001},
            "paramwise_cfg": {"decay_factor": 0.5},
            "constructor": LayerDecayConstructor,
        },
    )

    assert wrapper.get_lr()["lr"] == [0.0025, 0.0025, 0.005, 0.005]


def test_constructor_of_several_optimizers_is_found_by_name() -> None:
    @OPTIM_WRAPPER_CONSTRUCTORS.register_module(name="TestOnlyConstructor")
    class Multiple:
        def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
            self.cfgs = optim_wrapper_cfg

        def __call__(self, model: nn.Module) -> OptimWrapperDict:
            wrappers = {
                name: build_optim_wrapper(model.get_submodule(name), cfg)
                for name, cfg in self.cfgs.items()
            }
            return OptimWrapperDict(**wrappers)

    try:
        wrapper = build_optim_wrapper(
            ToyModel(),
            {
                "constructor": "TestOnlyConstructor",
                "backbone": {"optimizer": {"type": "SGD", "lr": 0.1}},
                "head": {"optimizer": {"type": "Adam", "lr": 0.2}},
            },
        )
    finally:
        del OPTIM_WRAPPER_CONSTRUCTORS.module_dict["TestOnlyConstructor"]

    assert wrapper.get_lr() == {"backbone.lr": [0.1], "head.lr": [0.2]}


def test_built_optimizer_is_taken_as_it_is() -> None:
    model = ToyModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    wrapper = build_optim_wrapper(model, {"optimizer": optimizer})

    assert wrapper.optimizer is optimizer
    with pytest.raises(ValueError, match="built already"):
        build_optim_wrapper(model, {"optimizer": optimizer, "paramwise_cfg": {"lr_mult": 2}})


@pytest.mark.parametrize(
    ("cfg", "paramwise", "error", "message"),
    [
        ([], None, TypeError, "give a dict"),
        ({}, None, TypeError, "optimizer=None"),
        ({"optimizer": "SGD"}, None, TypeError, "optimizer='SGD'"),
        ({"optimizer": {"type": "SGD"}}, {"custom_keys": ["a"]}, TypeError, "custom_keys"),
        ({"optimizer": {"type": "SGD"}}, {"custom_keys": {"a": 1}}, TypeError, "custom_keys"),
        ({"optimizer": {"type": "SGD"}}, {"norm_decay_mult": 0}, ValueError, "norm_decay_mult"),
        (
            {"optimizer": {"type": "SGD"}},
            {"custom_keys": {"a": {"decay_mult": 0}}},
            ValueError,
            "no weight_decay to multiply",
        ),
    ],
)
def test_wrong_configs_are_errors(
    cfg: Any, paramwise: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        DefaultOptimWrapperConstructor(cfg, paramwise)


def test_table_tells_which_parameter_got_what() -> None:
    model = ToyModel()
    wrapper = build_optim_wrapper(
        model.head,
        {
            "optimizer": {"type": "SGD", "lr": 0.01, "weight_decay": 0.1},
            "paramwise_cfg": {"norm_decay_mult": 0, "merge_equal": True},
        },
    )

    table = param_table(model, wrapper)

    assert [row.group for row in table.rows] == [0, 0, 1, 1]
    assert table.left_out[0] == "backbone.layer0.weight"
    lines = str(table).splitlines()
    assert lines[0].split() == ["parameter", "shape", "group", "lr", "weight_decay"]
    assert lines[3].split() == ["head.bn.weight", "(1,)", "1", "0.01", "0.0"]
    assert lines[-1].endswith("not optimized")


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_wrapper_of_every_kind_trains_a_whole_config(device: str) -> None:
    model = nn.Linear(2, 1).to(device)
    for name in ("OptimWrapper", "AmpOptimWrapper"):
        cfg = {
            "type": name,
            "optimizer": {"type": "AdamW", "lr": 0.01},
            "clip_grad": {"max_norm": 1},
        }
        wrapper = build_optim_wrapper(model, cfg)
        with wrapper.optim_context(model):
            loss = model(torch.ones(3, 2, device=device)).float().square().mean()
        wrapper.update_params(loss)
        assert wrapper.last_grad_norm is not None
