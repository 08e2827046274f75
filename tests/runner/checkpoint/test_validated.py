"""A run that is resumed from before a finished validation takes it over, and does not repeat it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_runner import Hook, Runner

MakeRunner = Callable[..., Runner]
PLATEAU = {
    "type": "ReduceOnPlateauLR",
    "monitor": "error",
    "rule": "less",
    "patience": 0,
    "threshold": 100.0,
}


class Stop(Exception):
    pass


class StopAt(Hook):
    """End the run in the first iteration after an epoch or an iteration, as a crash would."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == self.iteration:
            raise Stop


class Note(Hook):
    """Note the iterations after which a run validates."""

    def __init__(self) -> None:
        self.at: list[int] = []

    def before_val(self, runner: Any) -> None:
        self.at.append(runner.iter)


def saving(**options: Any) -> dict[str, Any]:
    return {"checkpoint": {"type": "CheckpointHook", "interval": 1, **options}}


BY_EPOCH: dict[str, Any] = {
    "default_hooks": saving(save_best="error"),
    "param_scheduler": [PLATEAU],
}
BY_ITER: dict[str, Any] = {
    "train_cfg": {"by_epoch": False, "max_iters": 12, "val_interval": 4},
    "default_hooks": saving(interval=4, by_epoch=False, save_best="error", max_keep_ckpts=1),
    "param_scheduler": None,
}


@pytest.mark.parametrize("changes", [BY_EPOCH, BY_ITER], ids=["epochs", "iterations"])
def test_finished_validation_is_not_repeated_and_the_run_ends_as_the_uninterrupted_one(
    make_runner: MakeRunner, tmp_path: Path, changes: dict[str, Any]
) -> None:
    whole = make_runner(**changes, work_dir=str(tmp_path / "whole"))
    expected = whole.train().state_dict()
    with pytest.raises(Stop):
        make_runner(**changes, custom_hooks=[StopAt(6)]).train()

    note = Note()
    resumed = make_runner(**changes, resume=True, custom_hooks=[note])
    found = resumed.train().state_dict()

    assert note.at == [8, 12]
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert resumed.optim_wrapper.get_lr() == whole.optim_wrapper.get_lr()
    infos = [run.message_hub.get_info("best_score") for run in (resumed, whole)]
    assert infos[0] == infos[1]
    errors = [run.message_hub.get_scalar("val/error").data[0].tolist() for run in (resumed, whole)]
    assert errors[0] == errors[1]
    names = [
        sorted(path.name for path in Path(run.work_dir).glob("*.pth")) for run in (resumed, whole)
    ]
    assert names[0] == names[1]


def test_notes_of_validations_are_deleted_with_their_checkpoints(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks=saving(max_keep_ckpts=1), custom_hooks=[StopAt(10)])
    with pytest.raises(Stop):
        runner.train()

    notes = [path.name for path in Path(runner.work_dir).glob("*.validated")]
    assert notes == ["epoch_2.pth.validated"]


def test_longer_training_repeats_the_last_validation(make_runner: MakeRunner) -> None:
    make_runner().train()
    note = Note()

    make_runner(
        train_cfg={"by_epoch": True, "max_epochs": 4}, resume=True, custom_hooks=[note]
    ).train()

    assert note.at == [12, 16]


def test_note_of_another_run_is_ignored(make_runner: MakeRunner) -> None:
    with pytest.raises(Stop):
        make_runner(custom_hooks=[StopAt(6)]).train()
    runner = make_runner()
    place = Path(runner.work_dir, "epoch_1.pth.validated")
    torch.save({**torch.load(place), "of": ["other", "20230101_000000", 4, -1]}, place)

    note = Note()
    make_runner(resume=True, custom_hooks=[note]).train()

    assert note.at == [4, 8, 12]


@pytest.mark.parametrize("content", [b"", b"no checkpoint"], ids=["empty", "text"])
def test_note_that_is_damaged_is_ignored(make_runner: MakeRunner, content: bytes) -> None:
    with pytest.raises(Stop):
        make_runner(custom_hooks=[StopAt(6)]).train()
    runner = make_runner()
    Path(runner.work_dir, "epoch_1.pth.validated").write_bytes(content)

    note = Note()
    make_runner(resume=True, custom_hooks=[note]).train()

    assert note.at == [4, 8, 12]
