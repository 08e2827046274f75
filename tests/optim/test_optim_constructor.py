"""From configs to wrappers, with options by parameter."""

from collections import OrderedDict
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
)
from engine_registry import MODEL_WRAPPERS, OPTIM_WRAPPER_CONSTRUCTORS

# Most tests here step schedules alone, of which a warning says that it skips a value.
pytestmark = pytest.mark.filterwarnings("ignore:step.. of .* is called before the first step")


class ToyModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({"layer0": nn.Linear(1, 1), "layer1": nn.Linear(1, 1)})
        self.head = nn.Sequential(
            OrderedDict(linear=nn.Linear(1, 1), bn=nn.BatchNorm1d(1)),
        )


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


def test_base_lr_follows_schedules_that_ignore_current_values() -> None:
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


def test_built_optimizer_is_used_unchanged() -> None:
    model = ToyModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    wrapper = build_optim_wrapper(model, {"optimizer": optimizer})

    assert wrapper.optimizer is optimizer
    with pytest.raises(ValueError, match="built already"):
        build_optim_wrapper(model, {"optimizer": optimizer, "paramwise_cfg": {"lr_mult": 2}})


@pytest.mark.parametrize(
    ("cfg", "paramwise", "error", "message"),
    [
        ([], None, TypeError, "must be a dict with the key .* got list"),
        ({}, None, TypeError, "optimizer of .* must be .* got None"),
        ({"optimizer": "SGD"}, None, TypeError, "optimizer of .* must be .* got 'SGD'"),
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
def test_wrong_configs_raise(
    cfg: Any, paramwise: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        DefaultOptimWrapperConstructor(cfg, paramwise)


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
