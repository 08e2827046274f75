"""``num_batch_per_epoch``: at most that many batches per pass."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.conftest import Command
from torch.utils.data import DataLoader, IterableDataset

from engine_runner import Hook, Runner
from engine_runner._errors import SettingsError

MakeRunner = Callable[..., Runner]
Settings = Callable[..., dict[str, Any]]


class Stop(Exception):
    """End a run in the middle."""


class StopAt(Hook):
    """End the run before an iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == self.iteration:
            raise Stop


def _log(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


def _given(settings: Settings, form: str, limit: int, **changes: Any) -> dict[str, Any]:
    """Return the settings of a run whose training data is limited in one of several forms."""
    arguments = settings(**changes)
    data = arguments["train_dataloader"]["dataset"]
    if form == "loader config":
        arguments["train_dataloader"]["num_batch_per_epoch"] = limit
        return arguments
    arguments["train_cfg"] = {**arguments["train_cfg"], "num_batch_per_epoch": limit}
    if form == "built loader":
        arguments["train_dataloader"] = Runner.build_dataloader(arguments["train_dataloader"], 3)
    elif form == "torch loader":
        order = torch.Generator().manual_seed(0)
        arguments["train_dataloader"] = DataLoader(data, 3, shuffle=True, generator=order)
    elif form == "list":
        arguments["train_dataloader"] = list(DataLoader(data, 3))
    return arguments


FORMS = ("loader config", "loop config", "built loader", "torch loader", "list")


@pytest.mark.parametrize("form", FORMS)
def test_limit_ends_each_epoch_and_sets_the_lengths(settings: Settings, form: str) -> None:
    logger = {"logger": {"type": "LoggerHook", "interval": 1}}

    runner = Runner(**_given(settings, form, 2, default_hooks=logger))
    runner.train()

    assert (runner.epoch, runner.iter, runner.max_iters) == (3, 6, 6)
    assert len(runner.train_dataloader) == 2
    lines = re.findall(r"Epoch\(train\) (\[\d\]\[\d/\d\])", _log(runner))
    assert lines == [f"[{epoch}][{batch}/2]" for epoch in (1, 2, 3) for batch in (1, 2)]
    assert "batches, but" not in _log(runner)  # no epoch is shorter than announced


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("at", [1, 2, 3], ids=["in a pass", "between passes", "in the second"])
@pytest.mark.parametrize("by_epoch", [True, False], ids=["epochs", "iterations"])
def test_limited_run_resumes_as_if_it_had_not_stopped(
    settings: Settings, tmp_path: Path, form: str, at: int, by_epoch: bool
) -> None:
    length = {"max_epochs": 3} if by_epoch else {"max_iters": 6}
    changes: dict[str, Any] = {"train_cfg": {"by_epoch": by_epoch, **length}}
    whole = Runner(**_given(settings, form, 2, work_dir=str(tmp_path / "whole"), **changes)).train()
    often = {"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}}
    changes["default_hooks"] = often
    stopped = Runner(**_given(settings, form, 2, custom_hooks=[StopAt(at)], **changes))
    with pytest.raises(Stop):
        stopped.train()

    resumed = Runner(**_given(settings, form, 2, resume=True, **changes))
    resumed.train()

    assert resumed.iter == 6
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value)


def test_limited_loader_loads_other_samples_in_each_pass_and_no_more(settings: Settings) -> None:
    no_validation = dict.fromkeys(("val_dataloader", "val_cfg", "val_evaluator"))
    arguments = _given(settings, "loader config", 2, **no_validation)

    Runner(**arguments).train()

    asked = arguments["train_dataloader"]["dataset"].asked
    assert len(asked) == 3 * 2 * 3
    assert len(set(asked)) > 6  # shuffled anew, rather than the same first six


def test_limit_in_an_iteration_loop_is_of_each_pass(make_runner: MakeRunner) -> None:
    train_cfg = {"by_epoch": False, "max_iters": 5, "num_batch_per_epoch": 2}

    runner = make_runner(train_cfg=train_cfg)
    runner.train()

    assert (runner.iter, runner.epoch) == (5, 2)


class PassOver(Hook):
    """Let the loop pass over the first batch of three passes, as after a rollback."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.passes: list[int] = []

    def before_train(self, runner: Runner) -> None:
        runner.train_loop.passed_over = {(number, 0) for number in range(3)}

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.passes.append(runner.epoch)


@pytest.mark.parametrize("cfg", [{"max_epochs": 5}, {"by_epoch": False, "max_iters": 2}], ids=str)
def test_pass_whose_only_batch_is_passed_over_is_not_empty(
    settings: Settings, cfg: dict[str, Any]
) -> None:
    hook = PassOver()
    train_cfg = {"by_epoch": True, **cfg}

    Runner(**_given(settings, "loop config", 1, train_cfg=train_cfg, custom_hooks=[hook])).train()

    assert hook.passes == [3, 4]


def test_schedules_count_limited_epochs(make_runner: MakeRunner) -> None:
    schedule = {"type": "LinearLR", "start_factor": 0.5, "end": 3, "convert_to_iter_based": True}

    runner = make_runner(
        param_scheduler=schedule,
        train_cfg={"by_epoch": True, "max_epochs": 3, "num_batch_per_epoch": 2},
    )
    runner.train()

    assert runner.param_schedulers[0].end == 6


class Stream(IterableDataset[Any]):
    """Points without a length."""

    def __iter__(self) -> Any:
        return iter([(torch.ones(1), torch.ones(1))] * 30)


def test_limit_is_the_length_of_a_stream(make_runner: MakeRunner) -> None:
    runner = make_runner(
        train_dataloader=DataLoader(Stream(), 3),
        train_cfg={"by_epoch": True, "max_epochs": 2, "num_batch_per_epoch": 4},
    )
    runner.train()

    assert (runner.iter, runner.max_iters) == (8, 8)


@pytest.mark.parametrize("place", ["loader", "loop"])
def test_limited_validation_evaluates_the_samples_seen(settings: Settings, place: str) -> None:
    arguments = settings(train_dataloader=None, train_cfg=None, optim_wrapper=None)
    arguments["param_scheduler"] = None
    target = arguments["val_dataloader" if place == "loader" else "val_cfg"]
    target["num_batch_per_epoch"] = 2
    sizes: list[Any] = []

    runner = Runner(**arguments)
    evaluate = runner.val_evaluator.evaluate

    def noted(size: int | None) -> Any:
        sizes.append(size)
        return evaluate(size)

    runner.val_evaluator.evaluate = noted
    runner.val()

    assert sizes == [6]
    assert arguments["val_dataloader"]["dataset"].asked == [0, 1, 2, 3, 4, 5]


def test_limit_above_the_length_changes_nothing(make_runner: MakeRunner) -> None:
    runner = make_runner(train_cfg={"by_epoch": True, "max_epochs": 1, "num_batch_per_epoch": 99})

    assert runner.train_loop.max_iters == 4


@pytest.mark.parametrize("mode", ["train", "val"])
def test_two_limits_of_one_loader_must_agree(settings: Settings, mode: str) -> None:
    arguments = settings()
    arguments[f"{mode}_dataloader"]["num_batch_per_epoch"] = 2
    arguments[f"{mode}_cfg"]["num_batch_per_epoch"] = 3

    with pytest.raises(SettingsError, match=r"must be set once, got 2 .* and 3 .*remove one"):
        Runner(**arguments)

    arguments[f"{mode}_cfg"]["num_batch_per_epoch"] = 2
    Runner(**arguments).train()


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "2"])
def test_limit_must_be_a_positive_integer(settings: Settings, limit: Any) -> None:
    arguments = settings()
    arguments["train_dataloader"]["num_batch_per_epoch"] = limit

    with pytest.raises(SettingsError, match=r"num_batch_per_epoch must be an integer >= 1, got"):
        Runner(**arguments)


def test_endless_sampler_takes_no_limit(settings: Settings) -> None:
    arguments = settings(train_cfg={"by_epoch": False, "max_iters": 4})
    arguments["train_dataloader"]["sampler"] = {"type": "InfiniteSampler"}
    arguments["train_dataloader"]["num_batch_per_epoch"] = 2

    with pytest.raises(SettingsError, match=r"InfiniteSampler; use DefaultSampler"):
        Runner(**arguments).train()


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ("train_dataloader = dict(num_batch_per_epochs=2)", "", "mean 'num_batch_per_epoch'?"),
        ("train_dataloader = dict(num_batch_per_epoch=0)", "train_dataloader.", "an integer >= 1"),
        ("val_cfg = dict(num_batch_per_epoch=0)", "val_cfg.", "must be an integer >= 1, got 0"),
        ("train_cfg = dict(num_batch_per_epoch=0)", "train_cfg.", "must be an integer >= 1"),
    ],
    ids=["misspelled", "loader", "validation", "training"],
)
def test_check_finds_a_wrong_limit(
    project: Path, command: Command, change: str, place: str, words: str
) -> None:
    (project / "case.py").write_text(f'_base_ = "cfg.py"\n{change}\n')

    printed = command("check", "case.py", code=1).stderr

    assert f"case.py:2: {place}" in printed
    assert words in printed


def test_check_accepts_limits_that_a_run_takes(project: Path, command: Command) -> None:
    change = """
_base_ = "cfg.py"
train_dataloader = dict(num_batch_per_epoch=2)
val_cfg = dict(num_batch_per_epoch=1)
test_cfg = dict(num_batch_per_epoch=1)
"""
    (project / "case.py").write_text(change)

    command("check", "case.py")
    assert "Epoch(train) [3][2/2]" in command(
        "train", "case.py", "--cfg-options", "default_hooks.logger.type=LoggerHook",
        "default_hooks.logger.interval=2",
    ).stdout  # fmt: skip


def test_length_of_limited_data_is_finite_for_eta(make_runner: MakeRunner) -> None:
    runner = make_runner(
        train_dataloader=DataLoader(Stream(), 3),
        train_cfg={"by_epoch": True, "max_epochs": 1, "num_batch_per_epoch": 2},
    )
    runner.train()

    assert math.isfinite(runner.message_hub.get_info("eta"))
