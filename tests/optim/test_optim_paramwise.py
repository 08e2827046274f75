"""Options by parameter."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from engine_optim import (
    build_optim_wrapper,
    merge_equal_groups,
    param_table,
)


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
                "dw.bias": (2, 0),
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
            {"dwconv_decay_mult": 0, "bias_decay_mult": 0.5},
            {"dw.weight": (1, 0), "dw.bias": (1, 0.05), "conv.bias": (1, 0.05)},
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
        *("lr", "decay", "lr and bias", "bias", "norm", "depthwise"),
        *("depthwise and bias", "flat", "flat and norm"),
        *("dcn offset", "custom key"),
    ],
)
def test_factor_applies_to_its_kind_of_parameter(
    paramwise: dict[str, Any], expected: dict[str, tuple[float, float]]
) -> None:
    found = options(Everything(), paramwise)

    for name, (lr, decay) in expected.items():
        assert found[name] == (pytest.approx(lr), pytest.approx(decay)), name


def test_longest_custom_key_applies_then_alphabetical_order() -> None:
    model = nn.ModuleDict({"abc": nn.Linear(1, 1, bias=False), "xbc": nn.Linear(1, 1, bias=False)})
    keys = {"bc": 2, "abc": 3, "xb": 4, "c.": 5, "bc.w": 6, "c.we": 7}

    found = options(model, {"custom_keys": {key: {"lr_mult": mult} for key, mult in keys.items()}})

    assert [lr for lr, _ in found.values()] == [6, 6]


def test_custom_keys_without_a_parameter_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    custom = {"backbone": {"lr_mult": 2}, "nek": {"lr_mult": 3}}

    options(ToyModel(), {"custom_keys": custom})

    logged = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert logged == ["custom_keys has 'nek', which matches no parameter"]


def test_frozen_parameters_have_no_group() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    model[1].requires_grad_(False)

    cfg = {"optimizer": {"type": "SGD", "lr": 1.0, "weight_decay": 0.1}}
    wrapper = build_optim_wrapper(model, {**cfg, "paramwise_cfg": {"norm_decay_mult": 0}})

    assert param_table(model, wrapper).left_out == ["1.weight", "1.bias"]


def test_duplicate_parameters_are_skipped_with_bypass_duplicate(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))
    model[1][0].weight = model[0].weight  # type: ignore[index]  # Sequential of Sequential
    cfg: dict[str, Any] = {"optimizer": {"type": "SGD", "lr": 0.1}}

    wrapper = build_optim_wrapper(
        model, {**cfg, "paramwise_cfg": {"bypass_duplicate": True, "bias_lr_mult": 2}}
    )

    assert len(wrapper.param_groups) == 3
    assert "1.0.weight is duplicate" in caplog.text
    with pytest.raises(
        ValueError, match=r"more than one parameter group.*1.0.weight.*bypass_duplicate"
    ):
        build_optim_wrapper(model, {**cfg, "paramwise_cfg": {"bias_lr_mult": 2}})


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


def test_merge_does_not_change_its_input() -> None:
    groups: list[dict[str, Any]] = [{"params": [1], "lr": 1}, {"params": [2]}]

    assert merge_equal_groups(groups, {"lr": 1}) == [{"params": [1, 2], "lr": 1}]
    assert groups == [{"params": [1], "lr": 1}, {"params": [2]}]


def test_table_shows_the_options_of_each_parameter() -> None:
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
