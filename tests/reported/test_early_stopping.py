"""EarlyStoppingHook ends a run by a metric, and its count survives a resume."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_runner import Runner


def stopping(**options: Any) -> dict[str, Any]:
    return {
        "train_cfg": {"by_epoch": True, "max_epochs": 8},
        "custom_hooks": [{"type": "EarlyStoppingHook", "monitor": "acc", **options}],
    }


@pytest.mark.parametrize(
    ("scores", "options", "epochs"),
    [
        ([0.5] * 8, {"patience": 2}, 3),
        ([0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5], {"patience": 1}, 8),
        ([0.50, 0.58, 0.66, 0.70, 0.70, 0.70], {"patience": 2}, 5),
        ([0.50, 0.51, 0.52, 0.53, 0.53, 0.53], {"patience": 2, "min_delta": 0.0}, 6),
        ([0.5, 0.3, 0.1, 0.1, 0.1], {"patience": 2, "rule": "less"}, 5),
        ([0.5, 0.7, 0.95, 0.2], {"stopping_threshold": 0.9}, 3),
        ([0.5, 0.7, 0.05, 0.2], {"stopping_threshold": 0.1, "rule": "less"}, 3),
        ([0.5, float("nan")], {}, 2),
        ([0.5, float("nan"), 0.5, 0.5, 0.5], {"check_finite": False, "patience": 3}, 4),
    ],
    ids=[
        "no change", "improves", "small steps add up", "small steps count", "less",
        "threshold", "threshold below", "nan", "nan allowed",
    ],
)  # fmt: skip
def test_a_training_stops_when_its_metric_does(
    toy_run: Callable[..., Runner], scores: list[float], options: dict[str, Any], epochs: int
) -> None:
    runner = toy_run(validate=scores, **stopping(**options))

    runner.train()

    assert runner.epoch == epochs


def test_the_log_names_the_reason(toy_run: Callable[..., Runner], tmp_path: Path) -> None:
    toy_run(validate=[0.5] * 8, **stopping(patience=2)).train()

    log = "".join(path.read_text() for path in (tmp_path / "work").glob("*/*.log"))
    assert "Training stops early: acc has not improved by more than 0.1 over 0.5000 in 2" in log


def test_a_resumed_run_counts_on(toy_run: Callable[..., Runner]) -> None:
    first = stopping(patience=3)
    first["train_cfg"] = {"by_epoch": True, "max_epochs": 2}
    toy_run(validate=[0.5, 0.5], **first).train()

    runner = toy_run(validate=[0.5] * 8, resume=True, **stopping(patience=3))
    runner.train()

    # The second validation is not repeated: one without improvement, and two more of three.
    assert runner.epoch == 4


def test_a_stopped_run_that_is_resumed_trains_no_further(toy_run: Callable[..., Runner]) -> None:
    toy_run(validate=[0.5] * 8, **stopping(patience=2)).train()

    runner = toy_run(validate=[0.5] * 8, resume=True, **stopping(patience=2))
    runner.train()

    assert runner.epoch == 3


@pytest.mark.parametrize(
    ("interval", "names"),
    [(1, ["epoch_1.pth", "epoch_2.pth", "epoch_3.pth"]), (2, ["epoch_2.pth", "epoch_3.pth"])],
)
def test_the_last_state_of_a_stopped_run_is_saved_once(
    toy_run: Callable[..., Runner], tmp_path: Path, interval: int, names: list[str]
) -> None:
    hooks = {"checkpoint": {"type": "CheckpointHook", "interval": interval}}
    toy_run(validate=[0.5] * 8, default_hooks=hooks, **stopping(patience=2)).train()

    assert sorted(path.name for path in (tmp_path / "work").glob("*.pth")) == names
    resumed = toy_run(resume=True)
    resumed.load_or_resume()
    assert resumed.epoch == 3


def test_without_a_validation_the_hook_is_refused(toy_run: Callable[..., Runner]) -> None:
    with pytest.raises(ValueError, match="needs a validation"):
        toy_run(**stopping()).train()


def test_a_missing_metric_is_an_error_if_strict_else_a_warning(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    options = {"monitor": "top_acc"}

    with pytest.raises(ValueError, match="'top_acc'; the validation reports 'n', 'acc'"):
        toy_run(validate=[0.5] * 8, **stopping(strict=True, **options)).train()
    runner = toy_run(validate=[0.5] * 8, **stopping(**options))
    runner.train()

    log = "".join(path.read_text() for path in (tmp_path / "work").glob("*/*.log"))
    assert runner.epoch == 8
    assert "monitor must be a metric of the validation, got 'top_acc'" in log


def test_a_validation_outside_of_the_training_stops_nothing(
    toy_run: Callable[..., Runner],
) -> None:
    runner = toy_run(validate=[0.9, 0.5, 0.5, 0.5], **stopping(patience=3))

    runner.val()
    runner.train()

    assert runner.epoch == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "most"}, "rule must be"),
        ({"monitor": "width"}, "set rule="),
        ({"min_delta": -1}, "min_delta must be >= 0, got -1"),
        ({"min_delta": "x"}, "min_delta must be >= 0, got 'x'"),
        ({"stopping_threshold": "x"}, "stopping_threshold must be a number or None, got 'x'"),
        ({"patience": 0}, "patience"),
    ],
)
def test_a_wrong_argument_is_refused(
    toy_run: Callable[..., Runner], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        toy_run(validate=[], **stopping(**options))
