"""Accumulation windows that are left out for a bad loss, also where a run is resumed within one."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.hooks.bad_loss_runs import MOMENTUM, Data, assert_equal, loader, log_of

from engine_runner import Runner

SAVES = {"checkpoint": {"type": "CheckpointHook", "interval": 1, "by_epoch": False}}


@pytest.mark.parametrize("reached", [5, 6], ids=["after the bad batch", "before it"])
def test_window_of_a_bad_loss_that_a_resume_enters_is_left_out_as_a_whole(
    train: Callable[..., Runner], reached: int
) -> None:
    scheduled = {"type": "ExponentialLR", "gamma": 0.9, "by_epoch": False, "end": 99}
    options: dict[str, Any] = {
        "train_dataloader": loader(Data([8] if reached == 5 else [12])),  # of the window 5 to 8
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "optim_wrapper": {**MOMENTUM, "accumulative_counts": 4},
        "on_bad_loss": "skip",
        "param_scheduler": scheduled,
        "custom_hooks": [{"type": "EMAHook", "momentum": 0.3, "update_buffers": True}],
    }
    whole = train("whole", **options, default_hooks=SAVES)
    whole.train()
    rest = train(
        "rest", **options, resume=True, load_from=str(Path(whole.work_dir, f"iter_{reached}.pth"))
    )

    rest.train()

    assert_equal(rest, whole)
    bad = f"for loss nan of iteration {5 if reached == 5 else 7}; 1 so far"
    assert bad in log_of(rest)
    assert bad in log_of(whole)


def test_state_of_a_window_is_saved_only_within_one(train: Callable[..., Runner]) -> None:
    wrapper = {**MOMENTUM, "accumulative_counts": 2}
    runner = train(on_bad_loss="skip", optim_wrapper=wrapper, default_hooks=SAVES)

    runner.train()

    found = [
        torch.load(Path(runner.work_dir, f"iter_{count}.pth"), weights_only=True)
        for count in (3, 4)
    ]
    within, after = (one["hooks"]["finite_loss"]["left_out"] for one in found)
    assert within["due"] == 1
    assert set(within["buffers"]) == {
        "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"
    }  # fmt: skip
    assert int(within["buffers"]["norm.num_batches_tracked"]) == 2
    assert (after["due"], after["iterations"]) == (0, [])
    assert "buffers" not in after


class Stream(torch.utils.data.IterableDataset[Any]):
    """The points without a length; the last one is spoiled."""

    def __iter__(self) -> Iterator[Any]:
        data = Data([15], math.nan)
        return iter([data[index] for index in range(16)])


def test_last_window_of_data_without_a_length_is_left_out(train: Callable[..., Runner]) -> None:
    wrapper = {**MOMENTUM, "accumulative_counts": 3}
    stream = {"dataset": Stream(), "batch_size": 2, "collate_fn": {"type": "default_collate"}}
    runner = train(train_dataloader=stream, optim_wrapper=wrapper, on_bad_loss="skip")

    runner.train()

    assert all(value.isfinite().all() for value in runner.model.state_dict().values())
    assert int(runner.model.state_dict()["norm.num_batches_tracked"]) == 6
    assert "The step was left out for" in log_of(runner)
