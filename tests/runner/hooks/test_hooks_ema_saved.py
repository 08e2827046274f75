"""`EMAHook`: what is saved, loaded and resumed."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.hooks.conftest import (
    Make,
    checkpoint_of,
    epochs,
    equal,
    hook_of,
    seen_by,
    weights_of,
)

from engine_runner import Hook, Runner


def test_checkpoint_has_the_average_and_beside_it_the_trained_weights(make: Make) -> None:
    runner = make(train_cfg=epochs(1))
    runner.train()

    saved = checkpoint_of(runner, "epoch_1.pth")
    trained = {f"module.{name}": item for name, item in weights_of(runner.model).items()}
    assert equal(saved["ema_state_dict"], {"steps": torch.tensor(4), **trained})
    average = dict(hook_of(runner).ema_model.module.named_parameters(remove_duplicate=False))
    assert all(torch.equal(saved["state_dict"][name], item) for name, item in average.items())
    assert list(saved["state_dict"]) == list(runner.model.state_dict())


def test_best_checkpoint_has_the_weights_that_were_validated(make: Make) -> None:
    best = {"checkpoint": {"type": "CheckpointHook", "save_best": "error", "rule": "less"}}
    runner = make(train_cfg=epochs(2), default_hooks=best)
    runner.train()

    saved = checkpoint_of(runner, "best_error_epoch_1.pth")
    assert equal(saved["state_dict"], seen_by(runner)[0])


@pytest.mark.parametrize(
    "ema",
    [
        {},
        {"interval": 3},
        {"update_buffers": True},
        {"ema_type": "MomentumAnnealingEMA", "gamma": 5},
        {"ema_type": "StochasticWeightAverage", "interval": 2},
    ],
    ids=["ema", "interval", "buffers", "annealed", "swa"],
)
@pytest.mark.parametrize("by_epoch", [True, False], ids=["by-epoch", "by-iter"])
def test_resumed_run_continues_exactly(
    make: Make, tmp_path: Path, ema: dict[str, Any], by_epoch: bool
) -> None:
    def run(last: int, work_dir: str, **more: Any) -> Runner:
        loop = epochs(last) if by_epoch else {"by_epoch": False, "max_iters": last * 3}
        keep = {"type": "CheckpointHook", "interval": 1 if by_epoch else 3, "by_epoch": by_epoch}
        hooks = {"checkpoint": keep}
        accumulate = {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 2}
        runner = make(
            ema,
            train_cfg=loop,
            work_dir=str(tmp_path / work_dir),
            default_hooks=hooks,
            optim_wrapper=accumulate,
            param_scheduler=None,
            **more,
        )
        runner.train()
        return runner

    whole = run(3, "whole")
    run(2, "parts")
    resumed = run(3, "parts", resume=True)

    assert equal(weights_of(whole.model), weights_of(resumed.model))
    assert equal(hook_of(whole).ema_model.state_dict(), hook_of(resumed).ema_model.state_dict())
    name = "epoch_3.pth" if by_epoch else "iter_9.pth"
    for key in ("state_dict", "ema_state_dict"):
        assert equal(checkpoint_of(whole, name)[key], checkpoint_of(resumed, name)[key])
    assert equal(seen_by(whole)[-1], seen_by(resumed)[-1])


def test_run_resumed_by_a_call_continues_exactly(make: Make, tmp_path: Path) -> None:
    whole = make(work_dir=str(tmp_path / "whole"), param_scheduler=None)
    whole.train()
    first = make(train_cfg=epochs(1), param_scheduler=None)
    first.train()
    second = make(work_dir=str(tmp_path / "second"), param_scheduler=None)
    second.resume(f"{first.work_dir}/epoch_1.pth")
    second.train()

    assert equal(weights_of(whole.model), weights_of(second.model))
    assert equal(hook_of(whole).ema_model.state_dict(), hook_of(second).ema_model.state_dict())


def test_loaded_average_is_the_model_of_a_test_run(make: Make, tmp_path: Path) -> None:
    first = make(train_cfg=epochs(2))
    first.train()
    path = f"{first.work_dir}/epoch_2.pth"
    without = {"train_cfg": None, "train_dataloader": None, "optim_wrapper": None}
    second = make(
        load_from=path, param_scheduler=None, work_dir=str(tmp_path / "second"), **without
    )
    second.val()

    assert equal(seen_by(second)[0], checkpoint_of(first, "epoch_2.pth")["state_dict"])
    assert equal(seen_by(second)[0], seen_by(first)[1])
    assert equal(weights_of(second.model), seen_by(second)[0])


def test_checkpoint_loaded_after_a_training_is_what_is_validated(make: Make) -> None:
    runner = make(train_cfg=epochs(2))
    runner.train()
    runner.load_checkpoint(f"{runner.work_dir}/epoch_1.pth")
    runner.val()

    assert equal(seen_by(runner)[-1], checkpoint_of(runner, "epoch_1.pth")["state_dict"])


def test_fine_tuning_begins_a_new_average(make: Make, tmp_path: Path) -> None:
    first = make(train_cfg=epochs(1))
    first.train()
    path = f"{first.work_dir}/epoch_1.pth"
    tuned = make(load_from=path, train_cfg=epochs(1), work_dir=str(tmp_path / "tuned"))
    tuned.train()

    assert checkpoint_of(tuned, "epoch_1.pth")["ema_state_dict"]["steps"] == 4


def test_checkpoint_without_an_average_begins_one_with_a_warning(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make(None, train_cfg=epochs(1)).train()
    runner = make(train_cfg=epochs(2), resume=True)
    runner.train()

    printed = "".join(capsys.readouterr())
    assert "the checkpoint has no ema_state_dict: EMAHook begins a new average" in printed
    assert hook_of(runner).ema_model.updates == 4


def test_run_without_the_hook_resumes_the_averages_as_weights(make: Make) -> None:
    make(train_cfg=epochs(1)).train()
    runner = make(None, train_cfg=epochs(1), resume=True)
    runner.load_or_resume()

    assert equal(weights_of(runner.model), checkpoint_of(runner, "epoch_1.pth")["state_dict"])


def test_average_that_does_not_fit_raises_if_strict(make: Make) -> None:
    first = make(train_cfg=epochs(1))
    first.train()
    path = Path(first.work_dir, "epoch_1.pth")
    saved = checkpoint_of(first, "epoch_1.pth")
    del saved["ema_state_dict"]["module.first.bias"]
    torch.save(saved, path)

    with pytest.raises(Exception, match=r"first\.bias"):
        make({"strict_load": True}, train_cfg=epochs(2), resume=True).train()


def test_before_the_average_begins_the_trained_weights_are_validated_and_saved(make: Make) -> None:
    runner = make({"begin_epoch": 2}, train_cfg=epochs(2))
    runner.train()

    saved = checkpoint_of(runner, "epoch_1.pth")
    assert equal(seen_by(runner)[0], saved["state_dict"])
    for name, value in saved["state_dict"].items():
        assert torch.equal(saved["ema_state_dict"][f"module.{name}"], value), name


class SavesWithin(Hook):
    """Save in the middle of a validation, when the model holds the averages."""

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if batch_idx == 1:
            runner.save_checkpoint(runner.work_dir, "within.pth")


def test_checkpoint_within_a_validation_equals_one_outside(make: Make) -> None:
    runner = make(train_cfg=epochs(1), custom_hooks=[SavesWithin()])
    runner.train()

    within, outside = (checkpoint_of(runner, name) for name in ("within.pth", "epoch_1.pth"))
    for key in ("state_dict", "ema_state_dict"):
        assert equal(within[key], outside[key])


def test_early_stop_saves_the_average(make: Make) -> None:
    stop = {"type": "EarlyStoppingHook", "monitor": "error", "rule": "less", "patience": 1}
    keep = {"checkpoint": {"type": "CheckpointHook", "interval": 10}}
    runner = make(custom_hooks=[stop], default_hooks=keep)
    runner.train()

    saved = checkpoint_of(runner, "epoch_2.pth")
    assert runner.epoch == 2
    average = dict(hook_of(runner).ema_model.module.named_parameters())
    assert all(torch.equal(saved["state_dict"][name], item) for name, item in average.items())


class Interrupts(Hook):
    """Send SIGTERM in an iteration of the training, or of the validation, of the second epoch."""

    def __init__(self, point: str) -> None:
        self.point = point

    def _before_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, mode: str = "train"
    ) -> None:
        if mode == self.point and batch_idx == 1 and runner.iter in (5, 8):
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("point", ["train", "val"])
def test_interrupted_run_continues_its_average_exactly(
    make: Make, tmp_path: Path, point: str
) -> None:
    given = {"param_scheduler": None, "work_dir": str(tmp_path / "parts")}
    whole = make(param_scheduler=None, work_dir=str(tmp_path / "whole"))
    whole.train()
    stopped = make(custom_hooks=[Interrupts(point)], **given)
    with pytest.raises(SystemExit):
        stopped.train()
    # In the validation, the checkpoint of its epoch is there already.
    saved = checkpoint_of(stopped, "interrupted.pth" if point == "train" else "epoch_2.pth")
    resumed = make(resume=True, **given)
    resumed.train()

    assert saved["meta"]["iter"] == (6 if point == "train" else 8)
    assert not torch.equal(
        saved["state_dict"]["first.weight"], saved["ema_state_dict"]["module.first.weight"]
    )
    assert equal(weights_of(whole.model), weights_of(resumed.model))
    assert equal(hook_of(whole).ema_model.state_dict(), hook_of(resumed).ema_model.state_dict())


@pytest.mark.parametrize("averaged", [True, False], ids=["no-longer", "from-now-on"])
def test_run_that_averages_other_buffers_resumes_the_trained_ones(
    make: Make, averaged: bool
) -> None:
    runner = make({"update_buffers": averaged}, train_cfg=epochs(2))
    runner.train()
    trained = weights_of(runner.model)
    average = weights_of(hook_of(runner).ema_model)
    resumed = make({"update_buffers": not averaged}, resume=True)
    resumed.load_or_resume()

    assert equal(weights_of(resumed.model), trained)
    assert equal(weights_of(hook_of(resumed).ema_model), average)
