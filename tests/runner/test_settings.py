from collections.abc import Callable
from typing import Any

import pytest

from engine_runner import Runner, Settings
from engine_runner._errors import NotConfiguredError, SettingsError


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"train_cfg": {}}, "train_dataloader, optim_wrapper"),
        ({"val_cfg": {}, "val_dataloader": []}, "val_evaluator"),
        ({"test_evaluator": []}, "test_dataloader, test_cfg"),
    ],
    ids=["training", "validation", "test"],
)
def test_settings_of_a_group_come_together(given: dict[str, Any], missing: str) -> None:
    with pytest.raises(SettingsError, match=f"missing: {missing}"):
        Settings(model=None, work_dir="runs", **given)


def test_settings_refuse_a_schedule_without_an_optimizer() -> None:
    with pytest.raises(SettingsError, match="param_scheduler needs optim_wrapper"):
        Settings(model=None, work_dir="runs", param_scheduler={})


def test_settings_refuse_unknown_randomness() -> None:
    with pytest.raises(SettingsError, match="does not know \\['sed'\\]"):
        Settings(model=None, work_dir="runs", randomness={"sed": 1})


@pytest.mark.parametrize("name", ["model", "work_dir"])
def test_settings_from_cfg_name_what_is_missing(name: str) -> None:
    cfg = {"model": {}, "work_dir": "runs"} | {name: None}

    with pytest.raises(SettingsError, match=repr(name)):
        Settings.from_cfg(cfg)


def test_settings_from_cfg_leave_other_keys_to_the_config() -> None:
    settings = Settings.from_cfg({"model": {}, "work_dir": "runs", "data_root": "data"})

    assert settings.work_dir == "runs"


def test_settings_take_a_single_custom_hook() -> None:
    settings = Settings(model=None, work_dir="runs", custom_hooks={"type": "EMAHook"})

    assert settings.hooks == [{"type": "EMAHook"}]


def test_runner_without_training_says_what_to_give(
    tmp_path: Any, make_runner: Callable[..., Runner]
) -> None:
    runner = make_runner(
        train_dataloader=None, train_cfg=None, optim_wrapper=None, param_scheduler=None
    )

    with pytest.raises(NotConfiguredError, match="train_dataloader, train_cfg and optim_wrapper"):
        runner.train()
