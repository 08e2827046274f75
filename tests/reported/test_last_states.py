"""The state at the end of a training is saved, however it ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine_runner import Hook, Runner

Toy = Callable[..., Runner]


class Endless:
    """Four batches, and no length."""

    def __iter__(self) -> Iterator[list[Tensor]]:
        return iter([[torch.ones(2, 1), torch.ones(2, 1)]] * 4)


class StopAt(Hook):
    """Ask the loop to end after an iteration."""

    def __init__(self, at: int) -> None:
        self.at = at

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter + 1 == self.at:
            runner.train_loop.stop_training = True


BY_ITERATION = {"by_epoch": False, "max_iters": 20}


def _files(runner: Runner) -> list[str]:
    return sorted(path.name for path in Path(runner.work_dir).glob("*.pth"))


@pytest.mark.parametrize(
    ("hook", "changes", "names"),
    [
        ({"by_epoch": False}, {"train_dataloader": Endless()}, ["iter_8.pth"]),
        (
            {"by_epoch": False, "interval": 3},
            {"train_dataloader": Endless()},
            ["iter_3.pth", "iter_6.pth", "iter_8.pth"],
        ),
        (
            {"by_epoch": False, "interval": 4},
            {"train_dataloader": Endless()},
            ["iter_4.pth", "iter_8.pth"],
        ),
        (
            {"by_epoch": False},
            {"custom_hooks": [StopAt(5)], "train_cfg": BY_ITERATION},
            ["iter_5.pth"],
        ),
        ({}, {"custom_hooks": [StopAt(5)], "train_cfg": BY_ITERATION}, ["epoch_2.pth"]),
        ({}, {"custom_hooks": [StopAt(2)]}, ["epoch_1.pth"]),
        ({}, {"train_cfg": {"by_epoch": False, "max_iters": 12}}, ["epoch_3.pth"]),
        ({"save_last": False}, {"custom_hooks": [StopAt(2)]}, []),
    ],
    ids=[
        *("no-length", "no-length-interval", "no-length-due", "iterations", "mixed-units"),
        *("epochs", "mixed-units-whole", "not-wanted"),
    ],
)
def test_last_state_is_saved_and_resumed(
    toy_run: Toy, hook: dict[str, Any], changes: dict[str, Any], names: list[str]
) -> None:
    hooks = {"checkpoint": {"type": "CheckpointHook", **hook}}
    runner = toy_run(default_hooks=hooks, **changes)

    runner.train()

    assert _files(runner) == names
    if names:
        resumed = toy_run(default_hooks=hooks, resume=True, **{**changes, "custom_hooks": None})
        resumed.train_loop, resumed.optim_wrapper  # noqa: B018  # built first by `Runner.train`
        resumed.load_or_resume()
        assert resumed.iter == runner.iter


def test_resume_of_a_finished_run_says_that_nothing_is_left(toy_run: Toy) -> None:
    toy_run().train()

    again = toy_run(resume=True)
    again.train()

    log = Path(again.log_dir, f"{again.timestamp}.log").read_text()
    assert again.iter == 8
    assert "nothing is left to train: the run is at 2 of 2" in log
