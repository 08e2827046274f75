"""A training stops before `max_time` with a checkpoint, from which it continues."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_runner import Hook, Runner, find_latest_checkpoint
from engine_runner._errors import TimeLimitReached
from engine_runner._time_limit import seconds_of, text_of
from engine_runner.checkpoint.writers import AsyncWriter
from engine_runner.hooks import TimeLimitHook

Make = Callable[..., Runner]


class Wait(Hook):
    """Make each iteration take some time, as a real one does."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.seconds = seconds

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        time.sleep(self.seconds)


NO_VALIDATION = {"val_dataloader": None, "val_cfg": None, "val_evaluator": None}
QUIET = {"checkpoint": {"type": "CheckpointHook", "interval": 10_000}}


def test_training_stops_in_time_and_its_resume_equals_an_uninterrupted_run(
    make_runner: Make, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {**NO_VALIDATION, "default_hooks": QUIET}
    long = {"by_epoch": True, "max_epochs": 20}
    runner = make_runner(**settings, train_cfg=long, custom_hooks=[Wait()], max_time=0.8)

    with pytest.raises(SystemExit) as ended:
        runner.train()

    assert ended.value.code == 75
    assert isinstance(ended.value, TimeLimitReached)
    assert "is not finished: max_time 00:00:01 is nearly over" in ended.value.message
    assert (tmp_path / "work" / "last_checkpoint").read_text().endswith("interrupted.pth")
    resumed = make_runner(**settings, train_cfg=long, resume=True)
    resumed.train()
    assert "does not have" not in _log_of(resumed)  # the state of the limit, which it does not need
    whole = make_runner(**settings, train_cfg=long, work_dir=str(tmp_path / "whole"))
    whole.train()
    assert runner.iter < resumed.iter == whole.iter  # a busy machine may end it at once
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])


def test_stopped_training_is_saved_where_its_checkpoints_are(
    make_runner: Make, tmp_path: Path
) -> None:
    hook = {"type": "CheckpointHook", "interval": 10_000, "out_dir": str(tmp_path / "elsewhere")}
    settings: dict[str, Any] = {**NO_VALIDATION, "default_hooks": {"checkpoint": hook}}

    with pytest.raises(TimeLimitReached):
        make_runner(**settings, custom_hooks=[Wait()], max_time=0.1).train()

    saved = tmp_path / "elsewhere" / "work" / "interrupted.pth"
    assert saved.is_file()
    assert find_latest_checkpoint(tmp_path / "work") == str(saved)
    assert find_latest_checkpoint(saved.parent) == str(saved)


def _log_of(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


def test_training_that_ends_in_time_ends_as_without_a_limit(make_runner: Make) -> None:
    runner = make_runner(max_time="01:00:00")

    runner.train()

    assert runner.iter == 12


def test_time_of_earlier_attempts_counts_if_asked_for(make_runner: Make) -> None:
    options: dict[str, Any] = {**NO_VALIDATION, "custom_hooks": [Wait()], "default_hooks": QUIET}
    loop = {"by_epoch": True, "max_epochs": 1000}
    first = make_runner(**options, train_cfg=loop, max_time=0.8)
    with pytest.raises(SystemExit):
        first.train()
    again = make_runner(
        **options, train_cfg=loop, resume=True, max_time={"limit": 0.8, "count_earlier": True}
    )

    with pytest.raises(SystemExit):
        again.train()
    assert again.iter == first.iter + 1  # the time was over before
    fresh = make_runner(**options, train_cfg=loop, resume=True, max_time=3)  # from here on
    with pytest.raises(SystemExit):
        fresh.train()
    assert fresh.iter > again.iter + 1


def test_ranks_agree_at_few_iterations_only(
    make_runner: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = TimeLimitHook("10:00:00")
    decide, decided = hook._decide, []

    def counted(done: int) -> int:
        decided.append(done)
        return decide(done)

    monkeypatch.setattr(hook, "_decide", counted)
    runner = make_runner(
        **NO_VALIDATION,
        train_cfg={"by_epoch": False, "max_iters": 400},
        default_hooks={**QUIET, "time_limit": hook},
    )

    runner.train()

    assert decided[0] == 1
    assert len(decided) <= 3


def test_room_is_kept_for_a_slow_save_and_a_slow_validation(make_runner: Make) -> None:
    hook = TimeLimitHook(100, reserve=5)
    hook._since, hook._slowest_save, hook._slowest_validation = (0, time.monotonic() - 1), 20, 30

    later = hook._decide(1)
    hook._slowest_save = 40

    # 100 s less 40 s and 30 s: half of the 30 s that are left, at 1 s per iteration.
    assert 14 <= later <= 16
    assert hook._decide(2) == 2  # nothing is left


def test_room_is_kept_for_a_save_that_is_slow_in_the_background(make_runner: Make) -> None:
    class Late(AsyncWriter):
        def write(self, *args: Any, then: Any = None, **options: Any) -> None:
            def later() -> None:
                time.sleep(0.3)
                then()

            super().write(*args, then=then and later, **options)

    hook = TimeLimitHook("10:00:00")
    saves = {"type": "CheckpointHook", "interval": 2, "by_epoch": False, "writer": Late()}
    loop = {"by_epoch": False, "max_iters": 6}
    hooks = {"checkpoint": saves, "time_limit": hook}
    runner = make_runner(**NO_VALIDATION, train_cfg=loop, default_hooks=hooks)

    runner.train()

    assert 0.3 <= hook._slowest_save < 60


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("04:30:00", 16200),
        ("100:00:01", 360001),
        ("2-01:00:00", 176400),
        (90, 90),
        (0.5, 0.5),
        (timedelta(minutes=2), 120),
    ],
    ids=str,
)
def test_time_is_read_in_each_form(value: Any, seconds: float) -> None:
    assert seconds_of("max_time", value) == seconds


@pytest.mark.parametrize("value", ["4h", "1:2", "00:61:00", "", 0, -1, True, [], float("nan")])
def test_other_time_raises_and_names_the_forms(value: Any) -> None:
    with pytest.raises(ValueError, match=r"max_time must be a time > 0 as 'HH:MM:SS'"):
        seconds_of("max_time", value)


def test_time_is_shown_as_it_is_written() -> None:
    assert [text_of(value) for value in (59, 3661, 90061)] == ["00:00:59", "01:01:01", "1-01:01:01"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("soon", "limit must be a time > 0"),
        ({"limt": 9}, "got {'limt': 9}; did you mean 'limit'"),
        ({"limit": 60, "reserve": 60}, "reserve must be less than the limit of 00:01:00, got 60"),
        ({"reserve": 3}, r"max_time must have a limit, as in dict\(limit='04:00:00'\)"),
        ({"limit": 9, "room": 3}, "max_time has no argument 'room'"),
    ],
    ids=["form", "misspelled", "reserve", "no limit", "unknown"],
)
def test_wrong_setting_raises_when_the_runner_is_built(
    make_runner: Make, value: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_runner(max_time=value)
