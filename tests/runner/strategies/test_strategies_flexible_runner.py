"""`FlexibleRunner` is `Runner` with keyword-only arguments and two other defaults."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_config import Config
from engine_logging import MMLogger
from engine_registry import RUNNERS
from engine_runner import (
    BaseStrategy,
    DDPStrategy,
    FlexibleRunner,
    Runner,
    SingleDeviceStrategy,
    Strategy,
)
from engine_runner._errors import SettingsError
from engine_runner.parts import check_config
from engine_runner.strategies import DeepSpeedStrategy
from engine_runner.strategies._compile import Compilation

MakeSettings = Callable[..., dict[str, Any]]


def test_flexible_runner_takes_the_arguments_of_runner() -> None:
    own = inspect.signature(FlexibleRunner).parameters
    given = inspect.signature(Runner).parameters

    assert set(own) == set(given)
    kinds = {name: parameter.kind for name, parameter in own.items() if name != "model"}
    assert set(kinds.values()) == {inspect.Parameter.KEYWORD_ONLY}
    differing = {name for name in own if own[name].default != given[name].default}
    assert differing == {"work_dir", "launcher"}


def test_flexible_runner_trains_to_the_weights_of_runner(settings: MakeSettings) -> None:
    weights, metrics = [], []
    for kind in (Runner, FlexibleRunner):
        runner = kind(**settings(strategy={"type": "SingleDeviceStrategy"}))
        weights.append(runner.train().state_dict())
        metrics.append(runner.val())

    assert metrics[0] == metrics[1]
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())


def test_logger_of_the_flexible_runner_is_declared_and_that_of_the_run(
    settings: MakeSettings,
) -> None:
    runner = FlexibleRunner(**settings())

    assert isinstance(FlexibleRunner.logger, property)
    assert runner.logger is MMLogger.get_instance(runner.experiment_name)


def test_flexible_runner_resumes_a_checkpoint_of_runner(settings: MakeSettings) -> None:
    Runner(**settings()).train()

    runner = FlexibleRunner(**settings(resume=True, train_cfg={"by_epoch": True, "max_epochs": 4}))
    runner.train()

    assert (runner.epoch, runner.iter) == (4, 16)


def test_runner_type_of_a_config_builds_the_flexible_runner(
    settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = settings(strategy="SingleDeviceStrategy", compile={"backend": "eager"})
    del arguments["work_dir"]
    cfg = Config({**arguments, "runner_type": "FlexibleRunner"})

    runner = RUNNERS.build(cfg)

    assert type(runner) is FlexibleRunner
    assert Path(runner.work_dir) == tmp_path / "work_dirs"
    assert runner.strategy.compilation == Compilation(target="model", options={"backend": "eager"})
    assert "work_dir" not in cfg


@pytest.mark.parametrize("launcher", [None, "none"])
def test_launcher_that_is_left_out_is_inferred(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, launcher: str | None
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")  # as from torchrun, but without a rank

    if launcher is None:
        with pytest.raises(RuntimeError, match="RANK is not set, but the launcher 'pytorch'"):
            FlexibleRunner(**settings())
    else:
        assert FlexibleRunner(**settings(launcher=launcher)).launcher == "none"


def test_build_strategy_returns_the_strategy_of_the_value(settings: MakeSettings) -> None:
    runner = FlexibleRunner(**settings())
    own = SingleDeviceStrategy(torch.device("cpu"))

    assert type(runner.build_strategy()) is SingleDeviceStrategy
    assert type(runner.build_strategy("DDPStrategy")) is DDPStrategy
    assert type(runner.build_strategy({"type": "DDPStrategy"}, launcher="none")) is DDPStrategy
    assert runner.build_strategy(own, log_level="INFO", randomness={"seed": 3}) is own


@pytest.mark.parametrize(
    "argument",
    [
        {"launcher": "slurm"},
        {"randomness": {"seed": 4}},
        {"env_cfg": {"cudnn_benchmark": True}},
        {"experiment_name": "other"},
        {"log_level": "ERROR"},
    ],
    ids=lambda argument: next(iter(argument)),
)
def test_build_strategy_raises_for_another_process(
    settings: MakeSettings, argument: dict[str, Any]
) -> None:
    runner = FlexibleRunner(**settings())

    with pytest.raises(ValueError, match=rf"{next(iter(argument))} must be .*, that of the run"):
        runner.build_strategy(**argument)


def test_strategy_for_ranks_raises_in_one_process(settings: MakeSettings) -> None:
    with pytest.raises(SettingsError, match="DDPStrategy needs a process group"):
        FlexibleRunner(**settings(strategy="DDPStrategy"))


def test_base_strategy_is_the_base() -> None:
    assert BaseStrategy is Strategy


def test_deepspeed_raises_and_names_the_settings_that_do_the_same(settings: MakeSettings) -> None:
    config = {
        "type": "DeepSpeedStrategy",
        "bf16": {"enabled": True},
        "gradient_clipping": 1.0,
        "zero_optimization": {"stage": 3},
    }

    with pytest.raises(SettingsError, match=r"got 'DeepSpeedStrategy'; .*FSDPStrategy") as caught:
        FlexibleRunner(**settings(strategy=config))

    assert "AmpOptimWrapper', dtype='bfloat16') for bf16" in str(caught.value)
    assert "clip_grad=dict(max_norm=...)) for gradient_clipping" in str(caught.value)


@pytest.mark.parametrize(
    ("zero", "instead"),
    [
        ({"stage": 0}, r"; strategy='DDPStrategy' averages gradients"),
        ({"stage": 2}, r"type='FSDPStrategy', reshard_after_forward=False\) .*stage 2 of ZeRO"),
        (
            {"stage": 1, "offload_optimizer": {"device": "cpu"}},
            r"reshard_after_forward=False, cpu_offload=True\) .*stage 1 of ZeRO",
        ),
        (
            {"stage": 3, "offload_param": {"device": "none"}},
            r"strategy=dict\(type='FSDPStrategy'\) .*stage 3 of ZeRO",
        ),
        ({"overlap_comm": True}, r"; strategy='DDPStrategy' averages gradients"),
        ({"stage": [1]}, r"strategy=dict\(type='FSDPStrategy'\) .*stage 3 of ZeRO"),
        (None, r"strategy=dict\(type='FSDPStrategy'\) .*stage 3 of ZeRO"),
    ],
    ids=["copies", "gradients", "offloaded", "not_offloaded", "no_stage", "wrong_stage", "default"],
)
def test_deepspeed_names_the_strategy_for_its_stage(zero: Any, instead: str) -> None:
    with pytest.raises(SettingsError, match=instead):
        DeepSpeedStrategy(torch.device("cpu"), zero_optimization=zero)


def test_deepspeed_leaves_out_what_is_turned_off() -> None:
    settings = {
        "bf16": {"enabled": False},
        "fp16": {"enabled": True},
        "optimizer": {"type": "Adam"},
    }

    with pytest.raises(SettingsError) as caught:
        DeepSpeedStrategy(torch.device("cpu"), **settings)

    assert "for bf16" not in str(caught.value)
    assert "dtype='float16') for fp16" in str(caught.value)
    assert "optim_wrapper=dict(optimizer=...) for optimizer" in str(caught.value)


def test_check_reports_deepspeed_at_its_line(settings: MakeSettings) -> None:
    config = Config({**settings(), "strategy": {"type": "DeepSpeedStrategy", "fp16": {"a": 1}}})

    problems = [problem.message for problem in check_config(config, FlexibleRunner)]

    assert any("got 'DeepSpeedStrategy'; strategy=dict(type='FSDP" in text for text in problems)
