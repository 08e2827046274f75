from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_config import Config
from engine_registry import DefaultScope
from engine_runner import FlexibleRunner, Runner, Settings
from engine_runner._errors import NotConfiguredError, SettingsError
from engine_runner.environment import create_log_dir, setup_environment
from engine_runner.parts import build_optimizers


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
    with pytest.raises(
        SettingsError, match=r"randomness has no argument 'sed'; did you mean 'seed'"
    ):
        Settings(model=None, work_dir="runs", randomness={"sed": 1})


@pytest.mark.parametrize("name", ["model", "work_dir"])
def test_settings_from_cfg_name_what_is_missing(name: str) -> None:
    cfg = {"model": {"type": "Line"}, "work_dir": "runs"} | {name: None}

    with pytest.raises(SettingsError, match=repr(name)):
        Settings.from_cfg(cfg)


def test_settings_from_cfg_leave_other_keys_to_the_config() -> None:
    settings = Settings.from_cfg(
        {"model": {"type": "Line"}, "work_dir": "runs", "data_root": "data"}
    )

    assert settings.work_dir == "runs"


def test_settings_from_cfg_refuse_a_misspelt_key_that_would_be_passed_over() -> None:
    with pytest.raises(SettingsError, match=r"'param_schduler'.*did you mean 'param_scheduler'"):
        Settings.from_cfg({"model": {"type": "Line"}, "work_dir": "runs", "param_schduler": []})


def test_settings_from_cfg_leave_alone_what_resembles_a_setting_that_is_there() -> None:
    settings = Settings.from_cfg(
        {"model": {"type": "Line"}, "work_dir": "runs", "custom_hooks": [], "custom_hooks2": []}
    )

    assert settings.custom_hooks == []


TRAINING = {"train_dataloader": [], "train_cfg": object(), "optim_wrapper": object()}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "ResNet"}, "model must be an object or a config .*got 'ResNet'"),
        ({"param_scheduler": 5, **TRAINING}, "param_scheduler must be an object or a config"),
        ({"custom_hooks": "EMAHook"}, "custom_hooks must be an object or a config"),
        ({"default_hooks": [{"type": "LoggerHook"}]}, "default_hooks must be a mapping such as"),
        ({"randomness": 5}, "randomness must be a mapping such as dict"),
        ({"randomness": {"seed": "1"}}, "seed of randomness must be int.*got '1'"),
        ({"launcher": "torch"}, "launcher must be one of none, pytorch, slurm, mpi, got 'torch'"),
        ({"resume": "epoch_3.pth"}, "resume must be True or False, got 'epoch_3.pth'; .*load_from"),
        ({"log_level": "INFOO"}, "log_level must be one of .*INFO.*got 'INFOO'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_refuse_what_is_of_the_wrong_kind(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings(**{"model": None, "work_dir": "runs", **wrong})


@pytest.mark.parametrize(
    ("env_cfg", "message"),
    [
        ({"cudnn": True}, r"no argument 'cudnn'; it takes: .*cudnn_benchmark"),
        (
            {"mp_cfg": {"mp_start_method": "frok"}},
            "env_cfg: mp_start_method must be .*fork.*got 'frok'",
        ),
        ({"mp_cfg": {"threads": 1}}, "env_cfg: .*'threads'"),
        ({"torch_num_threads": 0}, "torch_num_threads must be an integer >= 1"),
    ],
    ids=["key", "start-method", "argument", "threads"],
)
def test_environment_that_makes_no_sense_is_refused(env_cfg: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        setup_environment(env_cfg, "none")


def test_environment_sets_the_threads_of_torch() -> None:
    before = torch.get_num_threads()

    try:
        setup_environment({"torch_num_threads": 1}, "none")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_work_dir_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match=r"work_dir .*file.* is not writable"):
        create_log_dir(tmp_path / "file")


def test_optimizer_that_is_none_is_told() -> None:
    with pytest.raises(SettingsError, match="must be an Optimizer or a config, got 'SGD'"):
        build_optimizers(torch.nn.Linear(1, 1), {"optimizer": "SGD"})


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


def test_dataloader_key_misspelt_is_told_with_what_was_meant() -> None:
    sampler = {"type": "DefaultSampler"}

    with pytest.raises(ValueError, match="no argument 'batch_sise'; did you mean 'batch_size'"):
        Runner.build_dataloader({"dataset": [1], "sampler": sampler, "batch_sise": 2})


def test_runner_may_lie_where_an_earlier_one_lay(settings: Callable[..., dict[str, Any]]) -> None:
    runner = Runner(**settings())
    scope = DefaultScope.get_current_instance()

    Runner.__init__(runner, **settings())  # what memory that was freed comes to by chance

    assert DefaultScope.get_current_instance() is not scope


def test_origins_of_a_dict_are_in_the_program_that_passes_it(
    settings: Callable[..., dict[str, Any]],
) -> None:
    runners = [
        Runner.from_cfg(settings()),
        FlexibleRunner.from_cfg(settings()),
        Runner.from_cfg(Config(settings())),
    ]
    for runner in runners:
        assert {origin.file for origin in runner.cfg.origins().values()} == {__file__}
