"""When a training validates: before it, at its end, and at changing intervals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.runner.conftest import Command, MeanError

from engine_runner import Hook, Runner
from engine_runner._errors import SettingsError

MakeRunner = Callable[..., Runner]


class Stop(Exception):
    """End a run in the middle."""


class Note(Hook):
    """Note the counters at each validation, and end the run before an iteration."""

    def __init__(self, stop: int | None = None) -> None:
        self.at: list[int] = []
        self.stop = stop

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == self.stop:
            raise Stop

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        self.at.append(runner.epoch if runner.trains_by_epoch else runner.iter)


def _epochs(most: int, **options: Any) -> dict[str, Any]:
    return {"by_epoch": True, "max_epochs": most, "num_batch_per_epoch": 1, **options}


def _iterations(most: int, **options: Any) -> dict[str, Any]:
    return {"by_epoch": False, "max_iters": most, "val_interval": 1, **options}


CASES = {
    "epochs": (_epochs(3), [1, 2, 3]),
    "iterations": (_iterations(3), [1, 2, 3]),
    "before epochs": (_epochs(2, val_before_train=True), [0, 1, 2]),
    "before iterations": (_iterations(2, val_before_train=True), [0, 1, 2]),
    "last epoch": (_epochs(5, val_interval=2), [2, 4, 5]),
    "last iteration": (_iterations(5, val_interval=2), [2, 4, 5]),
    "not the last epoch": (_epochs(5, val_interval=2, val_at_end=False), [2, 4]),
    "not the last iteration": (_iterations(5, val_interval=2, val_at_end=False), [2, 4]),
    "begin": (_epochs(5, val_begin=3), [3, 4, 5]),
    "before and begin": (_epochs(4, val_begin=3, val_before_train=True), [0, 3, 4]),
    "dynamic epochs": (
        _epochs(8, val_interval=3, dynamic_intervals=[(4, 2), (7, 1)]),
        [3, 4, 6, 7, 8],
    ),
    "dynamic iterations": (
        _iterations(8, val_interval=5, dynamic_intervals=[(3, 2), (7, 1)]),
        [4, 6, 7, 8],
    ),
    "dynamic, not the last": (
        _epochs(7, val_interval=2, dynamic_intervals=[(4, 4)], val_at_end=False),
        [2, 4],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_training_validates_at(make_runner: MakeRunner, case: str) -> None:
    train_cfg, expected = CASES[case]
    note = Note()

    make_runner(train_cfg=train_cfg, custom_hooks=[note]).train()

    assert note.at == expected


@pytest.mark.parametrize("case", ["dynamic epochs", "dynamic iterations", "before epochs"])
@pytest.mark.parametrize("at", [1, 2])
def test_resumed_training_validates_at_the_same_points(
    make_runner: MakeRunner, case: str, at: int
) -> None:
    train_cfg, expected = CASES[case]
    often = {"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}}
    first, second = Note(stop=at if case != "before epochs" else 1), Note()
    stopped = make_runner(train_cfg=train_cfg, custom_hooks=[first], default_hooks=often)
    with pytest.raises(Stop):
        stopped.train()

    make_runner(
        train_cfg=train_cfg, custom_hooks=[second], default_hooks=often, resume=True
    ).train()

    # A checkpoint lies before the validation of its iteration, which is then repeated.
    assert sorted({*first.at, *second.at}) == expected
    assert 0 not in second.at


class InTurn(MeanError):
    """Report the given errors in turn."""

    def __init__(self, *errors: float) -> None:
        super().__init__()
        self.errors = list(errors)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"error": self.errors.pop(0)}


def test_best_of_a_validation_before_training_resumes_without_repeating_it(
    make_runner: MakeRunner, tmp_path: Path
) -> None:
    save = {"type": "CheckpointHook", "interval": 1, "save_best": "error", "rule": "less"}
    train_cfg = _epochs(2, val_before_train=True)
    make_runner(
        train_cfg=train_cfg,
        default_hooks={"checkpoint": save},
        val_evaluator=InTurn(0.1, 0.2, 0.3),
        work_dir=str(tmp_path / "first"),
    ).train()
    best, note = tmp_path / "first" / "best_error_epoch_0.pth", Note()

    make_runner(
        train_cfg=train_cfg,
        load_from=str(best),
        resume=True,
        custom_hooks=[note],
        work_dir=str(tmp_path / "second"),
    ).train()

    assert note.at == [1, 2]


def test_validation_before_training_counts_for_no_plateau(make_runner: MakeRunner) -> None:
    plateau = {"type": "ReduceOnPlateauLR", "monitor": "error", "rule": "less", "patience": 0}

    runner = make_runner(
        train_cfg=_epochs(2, val_before_train=True),
        param_scheduler=plateau,
        val_evaluator=InTurn(0.1, 0.9, 0.95),
    )
    runner.train()

    assert runner.param_schedulers[0].best == 0.9


@pytest.mark.parametrize("cfg", [{"by_epoch": True, "max_epochs": 3}, {"max_iters": 3}], ids=str)
def test_plateau_reads_the_last_validation(make_runner: MakeRunner, cfg: dict[str, Any]) -> None:
    by_epoch = "max_epochs" in cfg
    plateau = {"type": "ReduceOnPlateauLR", "monitor": "error", "rule": "less", "patience": 1}

    runner = make_runner(
        train_cfg={"by_epoch": by_epoch, "val_interval": 1, **cfg},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 1.0}},
        param_scheduler={"by_epoch": by_epoch, **plateau},
        val_evaluator=InTurn(0.1, 0.2, 0.3),
    )
    runner.train()

    assert runner.param_schedulers[0].last_step == 2
    assert runner.optim_wrapper.get_lr() == {"lr": [pytest.approx(0.1)]}


NEVER = {
    "too late": ({"val_begin": 9}, "val_begin=9 is later than the last of 3 epochs"),
    "not due": (
        {"val_interval": 5, "val_at_end": False},
        "to the last of 3 epochs with val_interval=5 and val_at_end=False",
    ),
    "due too early": (
        {"val_interval": 2, "val_begin": 3, "val_at_end": False},
        "none is due from val_begin=3",
    ),
}


@pytest.mark.parametrize("case", NEVER)
def test_hook_that_waits_for_a_validation_in_vain_raises(
    make_runner: MakeRunner, case: str
) -> None:
    options, message = NEVER[case]
    stop = {"type": "EarlyStoppingHook", "monitor": "error", "rule": "less"}

    runner = make_runner(train_cfg=_epochs(3, **options), custom_hooks=[stop])

    with pytest.raises(SettingsError, match=message):
        runner.train()


@pytest.mark.parametrize("case", NEVER)
def test_check_finds_what_waits_in_vain(project: Path, command: Command, case: str) -> None:
    options, message = NEVER[case]
    stop = 'custom_hooks = [dict(type="EarlyStoppingHook", monitor="error", rule="less")]'
    (project / "case.py").write_text(f'_base_ = "cfg.py"\ntrain_cfg = {options}\n{stop}\n')

    assert message in command("check", "case.py", code=1).stderr


def test_dynamic_interval_that_validates_in_time_is_no_mistake(make_runner: MakeRunner) -> None:
    note = Note()
    stop = {"type": "EarlyStoppingHook", "monitor": "error", "rule": "less"}
    options = {"val_interval": 9, "dynamic_intervals": [(2, 2)], "val_at_end": False}

    make_runner(train_cfg=_epochs(3, **options), custom_hooks=[note, stop]).train()

    assert note.at == [2]
