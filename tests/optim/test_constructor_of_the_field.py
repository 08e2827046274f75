"""Optimizer constructors as libraries write them."""

from typing import Any

import pytest
from torch import nn
from torch.nn import GroupNorm, LayerNorm

from engine_optim import DefaultOptimWrapperConstructor, build_optim_wrapper
from engine_registry import OPTIM_WRAPPER_CONSTRUCTORS


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.norm = nn.BatchNorm2d(1)


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(nn.Linear(1, 1).weight.detach())
        self.layers = nn.ModuleList([Block(), Block()])


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Linear(1, 1)
        self.tied = self.head


class OwnParams(DefaultOptimWrapperConstructor):
    """Overrides `add_params` with the documented signature, and calls itself for children."""

    def add_params(
        self,
        params: list[dict[str, Any]],
        module: nn.Module,
        prefix: str = "",
        is_dcn_module: int | float | None = None,
    ) -> None:
        custom_keys = self.paramwise_cfg.get("custom_keys", {})
        sorted_keys = sorted(sorted(custom_keys.keys()), key=len, reverse=True)
        is_norm = isinstance(module, (nn.BatchNorm2d, GroupNorm, LayerNorm))
        for name, param in module.named_parameters(recurse=False):
            group: dict[str, Any] = {"params": [param]}
            if not param.requires_grad:
                params.append(group)
                continue
            if self.paramwise_cfg.get("bypass_duplicate") and self._is_in(group, params):
                continue
            for key in sorted_keys:
                if key in f"{prefix}.{name}":
                    assert self.base_lr is not None
                    group["lr"] = self.base_lr * custom_keys[key].get("lr_mult", 1.0)
                    break
            else:
                if is_norm:
                    assert self.base_wd is not None
                    group["weight_decay"] = self.base_wd * self.paramwise_cfg["norm_decay_mult"]
            params.append(group)
        for child_name, child in module.named_children():
            child_prefix = f"{prefix}.{child_name}" if prefix else child_name
            self.add_params(params, child, prefix=child_prefix, is_dcn_module=is_dcn_module)


class LayerDecay(DefaultOptimWrapperConstructor):
    """Groups by name, with a rate per depth, as constructors of backbones do."""

    def add_params(  # type: ignore[override]  # as libraries write it
        self, params: list[dict[str, Any]], module: nn.Module, **kwargs: Any
    ) -> None:
        assert self.base_wd is not None
        assert self.base_lr is not None
        groups: dict[str, dict[str, Any]] = {}
        num_layers = self.paramwise_cfg["num_layers"] + 2
        decay_rate = self.paramwise_cfg["layer_decay_rate"]
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            flat = param.ndim == 1 or name.endswith(".bias") or "pos_embed" in name
            weight_decay = 0.0 if flat else self.base_wd
            depth = int(name.split(".")[2]) + 1 if ".layers." in name else num_layers - 1
            depth = 0 if "pos_embed" in name else depth
            key = f"layer_{depth}_{'no_decay' if flat else 'decay'}"
            if key not in groups:
                scale = decay_rate ** (num_layers - depth - 1)
                groups[key] = {
                    "weight_decay": weight_decay,
                    "params": [],
                    "param_names": [],
                    "lr_scale": scale,
                    "group_name": key,
                    "lr": scale * self.base_lr,
                }
            groups[key]["params"].append(param)
            groups[key]["param_names"].append(name)
        params.extend(groups.values())


@pytest.fixture(autouse=True)
def registered() -> None:
    for kind in (OwnParams, LayerDecay):
        OPTIM_WRAPPER_CONSTRUCTORS.register_module(module=kind, force=True)


def test_constructor_may_add_all_groups_itself() -> None:
    model = Detector()
    model.backbone.pos_embed.requires_grad_(False)
    cfg = {
        "constructor": "OwnParams",
        "optimizer": {"type": "SGD", "lr": 1.0, "weight_decay": 0.1},
        "paramwise_cfg": {
            "bypass_duplicate": True,
            "norm_decay_mult": 0.0,
            "custom_keys": {"head": {"lr_mult": 0.5}},
        },
    }
    groups = build_optim_wrapper(model, cfg).param_groups
    assert len(groups) == 1 + 2 * 4 + 2
    assert [group["lr"] for group in groups[-2:]] == [0.5, 0.5]
    assert [group["weight_decay"] for group in groups[1:5]] == [0.1, 0.1, 0.0, 0.0]


def test_membership_is_by_identity() -> None:
    constructor = DefaultOptimWrapperConstructor({"optimizer": {"type": "SGD", "lr": 0.1}})
    one, other = nn.Parameter(nn.Linear(1, 1).weight), nn.Parameter(nn.Linear(1, 1).weight)
    other.data.copy_(one.data)
    assert constructor._is_in({"params": [one]}, [{"params": [other]}, {"params": [one]}])
    assert not constructor._is_in({"params": [one]}, [{"params": [other]}])


def test_constructor_of_layer_decay_builds_groups_by_depth() -> None:
    cfg = {
        "constructor": "LayerDecay",
        "optimizer": {"type": "AdamW", "lr": 1.0, "weight_decay": 0.1},
        "paramwise_cfg": {"num_layers": 2, "layer_decay_rate": 0.5},
    }
    optim_wrapper = build_optim_wrapper(Detector(), cfg)
    rates = {group["group_name"]: group["lr"] for group in optim_wrapper.param_groups}
    assert rates["layer_0_no_decay"] == 0.125
    assert rates["layer_1_decay"] == 0.25
    assert rates["layer_3_decay"] == 1.0
    assert optim_wrapper.get_lr()["base_lr"] == [1.0]
