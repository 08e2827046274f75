"""Settings of optimizers that cannot act are refused, and those that can do act."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_config import Config
from engine_model import BaseModel
from engine_optim import (
    AmpOptimWrapper,
    CosineAnnealingLR,
    DefaultOptimWrapperConstructor,
    OneCycleLR,
    OptimWrapper,
    OptimWrapperDict,
    PolyLR,
    build_optim_wrapper,
    freeze_parameters,
)
from engine_runner import Runner, autocast
from engine_runner.parts import check_config

# Some tests here step schedules alone, of which a warning says that it skips a value.
pytestmark = pytest.mark.filterwarnings("ignore:step.. of .* is called before the first step")

MakeRun = Callable[..., Runner]
SGD: dict[str, Any] = {"type": "SGD", "lr": 0.1, "weight_decay": 0.01}


def build(model: nn.Module, **paramwise: Any) -> OptimWrapper:
    return build_optim_wrapper(model, {"optimizer": SGD, "paramwise_cfg": paramwise})


def two_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))


@pytest.mark.parametrize(
    ("paramwise", "message"),
    [
        ({"bias_lr_multi": 2}, "no option 'bias_lr_multi'; did you mean 'bias_lr_mult'"),
        ({"decay_multt": 0}, "no option 'decay_multt'; did you mean 'decay_mult'"),
        (
            {"custom_keys": {"0.": {"lr_multi": 0.1}}},
            r"custom_keys\['0.'\] has no option 'lr_multi'; did you mean 'lr_mult'",
        ),
        (
            {"custom_keys": {"0.": {"frozen": True}}},
            r"custom_keys\['0.'\] has no option 'frozen'; there are lr_mult, .*momentum",
        ),
    ],
    ids=["bias", "decay", "custom", "custom without a similar one"],
)
def test_unknown_option_is_refused_by_the_builder_and_the_check(
    paramwise: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(two_layers(), **paramwise)

    config = Config(
        {
            "model": {"type": "ToyModel"},
            "work_dir": "w",
            "optim_wrapper": {"optimizer": SGD, "paramwise_cfg": paramwise},
        }
    )
    problems = [one for one in check_config(config, Runner) if "paramwise" in one.key_path]
    assert len(problems) == 1
    assert "has no option" in problems[0].message


def test_option_of_the_optimizer_is_possible_in_custom_keys() -> None:
    wrapper = build(two_layers(), custom_keys={"1.": {"momentum": 0.5, "lr_mult": 2}})

    assert [group["momentum"] for group in wrapper.param_groups] == [0, 0, 0.5, 0.5]


def test_subclass_may_read_options_of_its_own() -> None:
    class Layerwise(DefaultOptimWrapperConstructor):
        pass

    constructor = Layerwise({"optimizer": SGD}, {"decay_rate": 0.7})

    assert len(constructor(two_layers()).param_groups) == 4


def test_requires_grad_in_custom_keys_freezes_by_pattern(toy_run: MakeRun) -> None:
    runner = toy_run(
        optim_wrapper={
            "optimizer": SGD,
            "paramwise_cfg": {"custom_keys": {"weight": {"requires_grad": False}}},
        }
    )
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}

    assert not runner.model.linear.weight.requires_grad  # before the model could be wrapped
    after = runner.train().state_dict()

    assert [name for name in before if torch.equal(before[name], after[name])] == ["linear.weight"]
    assert len(runner.optim_wrapper.param_groups) == 1


def test_resume_with_other_frozen_parameters_names_the_way_out(toy_run: MakeRun) -> None:
    def make(frozen: bool, **changes: Any) -> Runner:
        keys = {"bias": {"requires_grad": not frozen}}
        wrapper = {"optimizer": SGD, "paramwise_cfg": {"custom_keys": keys}}
        return toy_run(optim_wrapper=wrapper, **changes)

    make(frozen=False).train()

    with pytest.raises(ValueError, match="parameter group") as error:
        make(frozen=True, resume=True).train()
    assert "frozen parameters have no group" in "".join(error.value.__notes__)


def test_longer_custom_key_stays_trainable() -> None:
    model = two_layers()

    build(model, custom_keys={"0": {"requires_grad": False}, "0.bias": {"lr_mult": 0.5}})

    trainable = [name for name, param in model.named_parameters() if param.requires_grad]
    assert trainable == ["0.bias", "1.weight", "1.bias"]


def test_requires_grad_must_be_a_bool() -> None:
    with pytest.raises(TypeError, match="requires_grad of custom_keys must be True or False"):
        freeze_parameters(two_layers(), {"custom_keys": {"0": {"requires_grad": 0.0}}})


@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer: CosineAnnealingLR(optimizer, T_max=3, eta_min=0.01),
        lambda optimizer: PolyLR(optimizer, eta_min=0.01, end=4),
        lambda optimizer: OneCycleLR(optimizer, eta_max=0.5, total_steps=4),
    ],
    ids=["cosine", "poly", "one cycle"],
)
def test_rate_of_zero_by_a_factor_stays_zero(schedule: Callable[[Any], Any]) -> None:
    wrapper = build(two_layers(), custom_keys={"0.": {"lr_mult": 0.0}})

    scheduler = schedule(wrapper)
    for _ in range(3):
        assert wrapper.get_lr()["lr"][:2] == [0.0, 0.0]
        scheduler.step()

    rates = wrapper.get_lr()
    assert rates["lr"][2] == rates["base_lr"][0] > 0


def test_one_cycle_may_start_from_a_default_rate_of_zero() -> None:
    optimizer = torch.optim.SGD(two_layers().parameters(), lr=0.0)

    OneCycleLR(optimizer, eta_max=0.5, total_steps=4)

    assert optimizer.param_groups[0]["lr"] == 0.02


def test_plateau_finds_a_metric_without_its_prefix_as_save_best_does(toy_run: MakeRun) -> None:
    from_prefix = {"type": "ReduceOnPlateauLR", "rule": "greater", "patience": 0}

    def make(metric: str) -> Runner:
        runner = toy_run(
            validate=[0.5, 0.4, 0.4],
            train_cfg={"by_epoch": True, "max_epochs": 3},
            param_scheduler={**from_prefix, "monitor": metric},
            default_hooks={
                "checkpoint": {"type": "CheckpointHook", "save_best": metric, "rule": "greater"}
            },
        )
        runner.val_evaluator.metrics[0].prefix = "top"
        return runner

    runner = make("acc")
    runner.train()

    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(0.001)]
    assert Path(runner.work_dir, "best_top_acc_epoch_1.pth").exists()
    with pytest.raises((KeyError, ValueError), match=r"'ac'.*top/acc"):
        make("ac").train()


def test_misspelt_key_of_auto_scale_lr_is_refused_by_run_and_check(toy_run: MakeRun) -> None:
    wrong = {"enabel": True, "base_batch_size": 4}

    with pytest.raises(ValueError, match=r"enabel.*did you mean 'enable'"):
        toy_run(auto_scale_lr=wrong)
    config = Config({"model": {"type": "ToyModel"}, "work_dir": "w", "auto_scale_lr": wrong})
    assert "auto_scale_lr.enabel" in [one.key_path for one in check_config(config, Runner)]
    runner = toy_run()
    with pytest.raises(ValueError, match=r"enabel.*did you mean 'enable'"):
        runner.scale_lr(runner.optim_wrapper, wrong)


def test_tied_weight_is_named_with_the_way_out() -> None:
    model = two_layers()
    twin = nn.Linear(2, 2)
    twin.weight = model[0].weight  # type: ignore[assignment]  # an item of Sequential has any type
    model.add_module("twin", twin)

    with pytest.raises(ValueError, match=r"twin.weight is a tied weight.*bypass_duplicate=True"):
        build(model, bias_lr_mult=2.0)
    assert len(build(model, bias_lr_mult=2.0, bypass_duplicate=True).param_groups) == 5


def test_optimizer_without_gradients_is_skipped_in_float16() -> None:
    used, idle = nn.Linear(2, 1), nn.Linear(2, 1)
    wrappers = OptimWrapperDict(
        **{
            name: AmpOptimWrapper(optimizer=torch.optim.SGD(layer.parameters(), lr=0.1))
            for name, layer in (("used", used), ("idle", idle))
        }
    )
    before = idle.weight.clone()

    for _ in range(2):
        wrappers["idle"].update_params(used(torch.ones(1, 2)).square().mean())
        wrappers["used"].update_params(used(torch.ones(1, 2)).square().mean())

    assert torch.equal(idle.weight, before)


class Detached(BaseModel):
    """A model whose loss has no graph."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        return {"loss": self.linear(x).mean().detach()}


def test_loss_without_a_gradient_names_the_reason(toy_run: MakeRun) -> None:
    with pytest.raises(RuntimeError, match=r"loss must depend on a trainable.*it was detached"):
        toy_run(model=Detached()).train()
    frozen = two_layers().requires_grad_(False)
    wrapper = AmpOptimWrapper(optimizer=torch.optim.SGD(frozen.parameters(), lr=0.1))
    with pytest.raises(RuntimeError, match="all parameters of the optimizer are frozen"):
        wrapper.update_params(frozen(torch.ones(1, 2)).mean())


def test_bias_of_a_depthwise_convolution_decays_as_a_bias() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 1, groups=4))

    wrapper = build(model, bias_decay_mult=0.0, dwconv_decay_mult=0.5)

    assert [group["weight_decay"] for group in wrapper.param_groups] == [0.005, 0.0]


class Plain(torch.optim.Optimizer):
    """An optimizer whose first argument has another name."""

    def __init__(self, weights: Iterable[Tensor], lr: float = 0.1) -> None:
        super().__init__(weights, {"lr": lr})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # returns no loss
        for group in self.param_groups:
            for weight in group["params"]:
                weight.data -= group["lr"] * weight.grad


def test_optimizer_may_name_its_first_argument_freely() -> None:
    cfg = {"optimizer": {"type": Plain, "lr": 0.2}}

    assert build_optim_wrapper(two_layers(), cfg).get_lr() == {"lr": [0.2]}


def test_attributes_of_absent_settings_are_none() -> None:
    wrapper = build_optim_wrapper(two_layers(), {"optimizer": SGD})

    assert wrapper.clip_grad_kwargs is None
    assert wrapper.base_param_settings is None
    base = build(two_layers(), bias_lr_mult=2.0).base_param_settings
    assert base is not None
    assert base["lr"] == 0.1


def test_autocast_switches_an_outer_one_off() -> None:
    with autocast("cpu"), autocast("cpu", enabled=False):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32


def test_custom_key_without_a_parameter_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="engine.optim"):
        build(two_layers(), custom_keys={"backbone": {"lr_mult": 0.1}})

    assert "custom_keys has 'backbone', which matches no parameter" in caplog.text


@pytest.mark.parametrize(
    ("paramwise_cfg", "words"),
    [
        ({"custom_keys": {"linear": {"lr_mult": "x"}}}, r"lr_mult of custom_keys\['linear'\]"),
        ({"bias_lr_mult": "2"}, "bias_lr_mult of paramwise_cfg must be a number, got '2'"),
        ({"norm_decay_mult": None}, "norm_decay_mult of paramwise_cfg must be a number, got None"),
        ({"custom_keys": {"linear": {"decay_mult": True}}}, "must be a number, got True"),
        (3, "paramwise_cfg must be a dict"),
    ],
)
def test_a_factor_that_is_no_number_is_refused(paramwise_cfg: Any, words: str) -> None:
    optimizer = {"type": "SGD", "lr": 0.1, "weight_decay": 0.1}
    with pytest.raises(TypeError, match=words):
        DefaultOptimWrapperConstructor({"optimizer": optimizer}, paramwise_cfg)
