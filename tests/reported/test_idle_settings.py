"""Settings that never act are named in the log at the start of a training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_runner import Runner


@pytest.mark.parametrize(
    ("hook", "loop", "words"),
    [
        ({"interval": 50}, {}, "CheckpointHook saves at its end only: interval=50"),
        ({"interval": 50, "save_last": False}, {}, "CheckpointHook saves never: interval=50"),
        ({"max_keep_ckpts": 2, "interval": -1}, {}, "max_keep_ckpts=2 acts on checkpoints"),
        ({"rule": "less"}, {}, "never act without save_best"),
        ({}, {"val_begin": 3}, "val_begin=3 is later than the last of 2 epochs"),
        ({}, {"dynamic_intervals": [(9, 1)]}, "dynamic_intervals never acts from 9 on"),
    ],
    ids=["late", "never", "keep", "rule", "begin", "intervals"],
)
def test_a_setting_that_never_acts_is_warned_of(
    toy_run: Callable[..., Runner],
    tmp_path: Path,
    hook: dict[str, Any],
    loop: dict[str, Any],
    words: str,
) -> None:
    toy_run(
        validate=[0.1, 0.2],
        train_cfg={"by_epoch": True, "max_epochs": 2, **loop},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 1, **hook}},
    ).train()

    [log] = (tmp_path / "work").glob("*/*.log")
    assert log.read_text().count(words) == 1


def test_settings_that_act_are_not_warned_of(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    hook = {"type": "CheckpointHook", "interval": 2, "max_keep_ckpts": 1, "by_epoch": False}
    toy_run(
        validate=[0.1, 0.2],
        train_cfg={"by_epoch": True, "max_epochs": 2, "dynamic_intervals": [(2, 1)]},
        default_hooks={"checkpoint": {**hook, "save_best": "acc", "rule": "greater"}},
    ).train()

    [log] = (tmp_path / "work").glob("*/*.log")
    assert "WARNING" not in log.read_text()
