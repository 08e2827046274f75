"""What the tutorials state about the default hooks."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_runner import Hook, Priority, Runner, get_priority

Make = Callable[..., Runner]

LEVELS = {
    "HIGHEST": 0,
    "VERY_HIGH": 10,
    "HIGH": 30,
    "ABOVE_NORMAL": 40,
    "NORMAL": 50,
    "BELOW_NORMAL": 60,
    "LOW": 70,
    "VERY_LOW": 90,
    "LOWEST": 100,
}


def _loader(count: int) -> dict[str, Any]:
    """Return the config of a loader of single points."""
    points = [(torch.tensor([value / count]), torch.tensor([1.0])) for value in range(count)]
    return {
        "dataset": points,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 1,
    }


@pytest.fixture
def train(make_runner: Make) -> Make:
    """Return a function that trains a run of some batches per epoch, and returns it."""

    def run(batches: int, epochs: int, hooks: dict[str, Any], **changes: Any) -> Runner:
        given = {
            "train_dataloader": _loader(batches),
            "val_dataloader": None,
            "val_cfg": None,
            "val_evaluator": None,
            "train_cfg": {"by_epoch": True, "max_epochs": epochs},
            "param_scheduler": None,
            "default_hooks": hooks,
        }
        runner = make_runner(**{**given, **changes})
        runner.train()
        return runner

    return run


def _files(runner: Runner) -> set[str]:
    return {path.name for path in Path(runner.work_dir).glob("*.pth")}


def _lines(runner: Runner, mode: str) -> list[str]:
    [log] = Path(runner.log_dir).glob("*.log")
    return re.findall(rf"\({mode}\) (?:\[1\])?(\[ *\d+/\d+\])", log.read_text())


def test_levels_of_priority_have_the_documented_numbers() -> None:
    assert {level.name: level.value for level in Priority} == LEVELS
    assert all(get_priority(name) == number for name, number in LEVELS.items())


def test_two_checkpoints_of_twenty_epochs_are_kept(train: Make) -> None:
    keep = {"type": "CheckpointHook", "interval": 5, "max_keep_ckpts": 2}

    assert _files(train(1, 20, {"checkpoint": keep})) == {"epoch_15.pth", "epoch_20.pth"}


class Files(Hook):
    """Note the checkpoints after each epoch."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.found: list[set[str]] = []

    def after_train_epoch(self, runner: Any) -> None:
        self.found.append(_files(runner))


def test_oldest_checkpoint_is_deleted_when_the_third_is_saved(train: Make) -> None:
    files = Files()
    keep = {"type": "CheckpointHook", "interval": 5, "max_keep_ckpts": 2}
    train(1, 15, {"checkpoint": keep}, custom_hooks=[files])

    assert files.found[13] == {"epoch_5.pth", "epoch_10.pth"}
    assert files.found[14] == {"epoch_10.pth", "epoch_15.pth"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"interval": 5}, {f"epoch_{count}.pth" for count in (5, 10, 15, 20)}),
        ({"interval": 5, "by_epoch": False}, {f"iter_{5 * count}.pth" for count in range(1, 9)}),
    ],
    ids=["epochs", "iterations"],
)
def test_checkpoints_are_saved_at_the_interval(
    train: Make, options: dict[str, Any], expected: set[str]
) -> None:
    runner = train(2, 20, {"checkpoint": {"type": "CheckpointHook", **options}})

    assert _files(runner) == expected


def test_log_of_an_epoch_has_every_tenth_iteration(train: Make) -> None:
    assert _lines(train(25, 1, {}), "train") == ["[10/25]", "[20/25]"]


def test_interval_of_the_log_applies_to_training_and_validation(
    train: Make, settings: Callable[..., dict[str, Any]]
) -> None:
    evaluator = settings()["val_evaluator"]
    validation = {"val_dataloader": _loader(45), "val_cfg": {}, "val_evaluator": evaluator}
    runner = train(45, 1, {"logger": {"type": "LoggerHook", "interval": 20}}, **validation)

    assert _lines(runner, "train") == ["[20/45]", "[40/45]"]
    assert _lines(runner, "val") == ["[20/45]", "[40/45]", "[45/45]"]


class Seen(Hook):
    """Note the rates, the order of the data, and what the message hub has."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.order: list[list[float]] = []
        self.infos: list[Any] = []

    def before_train_epoch(self, runner: Any) -> None:
        self.order.append([])

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.order[-1] += data_batch[0].flatten().tolist()
        hub = runner.message_hub
        self.rates.append(hub.get_scalar("train/lr").current())
        self.infos.append(
            [hub.get_info(key) for key in ("epoch", "iter", "max_epochs", "max_iters")]
        )


def test_message_hub_has_the_progress_of_the_run(train: Make) -> None:
    seen = Seen()
    runner = train(3, 2, {}, custom_hooks=[seen])

    assert seen.infos == [[step // 3, step, 2, 6] for step in range(6)]
    assert seen.rates == pytest.approx([0.1] * 6)
    assert runner.message_hub.get_scalar("train/loss").statistics("mean") > 0


@pytest.mark.parametrize(
    ("by_epoch", "rates"),
    [(True, [0.1, 0.1, 0.01, 0.01]), (False, [0.1, 0.01, 0.001, 0.0001])],
    ids=["by-epoch", "by-iteration"],
)
def test_schedules_step_by_epoch_or_by_iteration(
    train: Make, by_epoch: bool, rates: list[float]
) -> None:
    seen = Seen()
    schedule = {"type": "ExponentialLR", "gamma": 0.1, "by_epoch": by_epoch}
    train(2, 2, {}, param_scheduler=schedule, custom_hooks=[seen])

    assert seen.rates == pytest.approx(rates)


def test_each_epoch_is_shuffled_differently(train: Make) -> None:
    seen = Seen()
    loader = {**_loader(8), "sampler": {"type": "DefaultSampler", "shuffle": True}}
    train(8, 2, {}, train_dataloader=loader, custom_hooks=[seen])

    assert seen.order[0] != seen.order[1]
    assert sorted(seen.order[0]) == sorted(seen.order[1])


def test_times_of_an_iteration_are_recorded(train: Make) -> None:
    hub = train(3, 1, {}).message_hub

    assert all(hub.get_scalar(f"train/{name}").current() >= 0 for name in ("time", "data_time"))
