"""A checkpoint that cannot be written ends no training, and costs no older checkpoint."""

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine_runner import Hook, Runner
from engine_runner._errors import CheckpointWriteError, SettingsError
from engine_runner.cli._errors import mistake

Toy = Callable[..., Runner]
EPOCHS = {"by_epoch": True, "max_epochs": 4}


@contextmanager
def _limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class FullDisk(Hook):
    """Fill the disk during some epochs, counted from 1."""

    priority = "HIGHEST"

    def __init__(self, *epochs: int) -> None:
        self.epochs = epochs
        self.full: Any = None

    def before_train_epoch(self, runner: Any) -> None:
        self._free()
        if runner.epoch + 1 in self.epochs:
            self.full = _limit(100_000)
            self.full.__enter__()

    def after_train(self, runner: Any) -> None:
        self._free()

    def _free(self) -> None:
        if self.full is not None:
            self.full.__exit__(None, None, None)
            self.full = None


def _run(
    toy_run: Toy, *hooks: Hook, validate: Any = None, checks_loss: bool = True, **options: Any
) -> Runner:
    """Return a run whose checkpoints have more than 400 kB."""
    checkpoint = {"type": "CheckpointHook", "interval": 1, **options}
    runner = toy_run(
        validate=validate,
        train_cfg=EPOCHS,
        default_hooks={"checkpoint": checkpoint, **({} if checks_loss else {"finite_loss": None})},
        custom_hooks=list(hooks),
    )
    runner.model.large = nn.Parameter(torch.zeros(100_000))
    return runner


def _files(runner: Runner) -> list[str]:
    return sorted(path.name for path in Path(runner.work_dir).glob("*.pth"))


def _log(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


def test_training_goes_on_to_the_next_interval(toy_run: Toy) -> None:
    runner = _run(toy_run, FullDisk(2))

    runner.train()

    assert _files(runner) == ["epoch_1.pth", "epoch_3.pth", "epoch_4.pth"]
    assert f"epoch_2.pth was not saved: [Errno {errno.EFBIG}]" in _log(runner)


def test_retention_keeps_the_last_good_checkpoint(toy_run: Toy) -> None:
    kept: list[list[str]] = []

    class Look(Hook):
        priority = "LOWEST"

        def after_train_epoch(self, runner: Any) -> None:
            kept.append(_files(runner))

    runner = _run(toy_run, FullDisk(2, 3), Look(), max_keep_ckpts=1)
    runner.train()

    assert kept == [["epoch_1.pth"]] * 3 + [["epoch_4.pth"]]


def test_training_that_could_save_nothing_fails_at_its_end(toy_run: Toy) -> None:
    runner = _run(toy_run, FullDisk(1, 2, 3, 4))

    with pytest.raises(CheckpointWriteError, match=r"epoch_4\.pth.*: none") as raised:
        runner.train()

    assert runner.epoch == 4
    assert _files(runner) == []
    message = mistake(raised.value)
    assert message is not None
    assert "set out_dir" in message


def test_last_checkpoint_that_fails_is_an_error_that_names_the_saved_ones(toy_run: Toy) -> None:
    runner = _run(toy_run, FullDisk(4))

    with pytest.raises(CheckpointWriteError, match=r"epoch_4\.pth.*epoch_3\.pth"):
        runner.train()


def test_best_checkpoint_that_fails_leaves_the_former(toy_run: Toy) -> None:
    # The disk is full in the validations of epochs 2 and 3, and has room in that of epoch 4.
    scores = [0.5, 0.9, 0.8, 0.7]
    runner = _run(toy_run, FullDisk(2, 3), validate=scores, save_best="acc", interval=-1)

    runner.train()

    assert _files(runner) == ["best_acc_epoch_4.pth", "epoch_4.pth"]
    assert runner.message_hub.get_info("best_score") == 0.7


def test_best_checkpoint_that_is_never_written_fails_at_the_end(toy_run: Toy) -> None:
    scores = [0.5, 0.9, 0.1, 0.1]
    runner = _run(toy_run, FullDisk(2), validate=scores, save_best="acc")

    with pytest.raises(CheckpointWriteError, match="best_acc_epoch_2"):
        runner.train()

    assert "best_acc_epoch_1.pth" in _files(runner)


def test_storage_that_is_gone_is_reported(toy_run: Toy, tmp_path: Path) -> None:
    out = tmp_path / "out"

    class Unmount(Hook):
        def after_train_epoch(self, runner: Any) -> None:
            if runner.epoch == 1:
                shutil.rmtree(out)
                out.write_text("")
            if runner.epoch == 2:
                os.remove(out)

    runner = _run(toy_run, Unmount(), out_dir=str(out))
    runner.train()

    assert sorted(file.name for file in (out / "work").glob("*.pth")) == [
        "epoch_3.pth",
        "epoch_4.pth",
    ]
    assert "epoch_2.pth was not saved" in _log(runner)


@pytest.mark.parametrize(
    ("out_dir", "reason"),
    [
        ("http://127.0.0.1:9/folder", "HTTPBackend cannot do 'put'"),
        ("file", "out_dir of CheckpointHook must be writable, but file/work is not"),
        ("/proc/engine", "must be writable, but /proc/engine/work is not"),  # also for root
    ],
    ids=["storage", "file", "mount"],
)
def test_out_dir_that_takes_no_files_is_refused_before_the_first_epoch(
    toy_run: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out_dir: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    runner = _run(toy_run, out_dir=out_dir)

    with pytest.raises(SettingsError, match=reason):
        runner.train()

    assert runner.epoch == 0


@pytest.mark.parametrize("out_dir", [None, "out"], ids=["work_dir", "out_dir"])
def test_disk_that_is_full_is_found_before_the_first_epoch(
    toy_run: Toy, tmp_path: Path, out_dir: str | None
) -> None:
    runner = _run(toy_run, out_dir=out_dir and str(tmp_path / out_dir))
    setting = "out_dir of CheckpointHook" if out_dir else "work_dir"

    with _limit(30_000), pytest.raises(SettingsError, match=rf"{setting} must be writable.*work"):
        runner.train()

    assert (runner.iter, _files(runner)) == (0, [])


def test_disk_with_less_room_than_the_weights_need_is_warned_of(
    toy_run: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shutil.disk_usage("/")._replace(free=390_000)
    monkeypatch.setattr("engine_runner.checkpoint._marker.disk_usage", lambda path: room)
    runner = _run(toy_run)

    runner.train()

    assert "has room for 0.39 MB, but the weights alone have 0.40 MB" in _log(runner)
    assert "epoch_4.pth" in _files(runner)


def test_folder_for_logs_that_takes_no_files_is_refused_before_the_first_epoch(
    toy_run: Toy, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    runner = toy_run(default_hooks={"logger": {"type": "LoggerHook", "out_dir": tmp_path / "file"}})

    with pytest.raises(SettingsError, match=r"out_dir of LoggerHook must be writable"):
        runner.train()

    assert runner.iter == 0


class Break(Hook):
    """Make a weight NaN at the end of an epoch, counted from 1."""

    priority = "HIGHEST"

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def after_train_epoch(self, runner: Any) -> None:
        if runner.epoch + 1 == self.epoch:
            with torch.no_grad():
                runner.model.large[7] = float("nan")


def test_nan_weights_replace_no_checkpoint(toy_run: Toy) -> None:
    scores = [0.5, 0.9, 0.9, 0.9]
    runner = _run(toy_run, Break(2), validate=scores, save_best="acc", max_keep_ckpts=1)

    with pytest.raises(ArithmeticError, match="large"):
        runner.train()

    assert _files(runner) == ["best_acc_epoch_1.pth", "epoch_1.pth"]
    assert runner.message_hub.get_info("best_score") == 0.5


def test_nan_weights_replace_no_checkpoint_where_the_check_is_left_out(toy_run: Toy) -> None:
    scores = [0.5, 0.9, 0.9, 0.9]
    runner = _run(
        toy_run, Break(2), validate=scores, checks_loss=False, save_best="acc", max_keep_ckpts=1
    )

    runner.train()

    assert _files(runner) == ["best_acc_epoch_1.pth", "epoch_1.pth"]
    assert runner.message_hub.get_info("best_score") == 0.5
    assert "epoch_4.pth was not saved: large has become NaN or infinite" in _log(runner)


def test_weights_that_are_nan_from_the_start_are_saved(toy_run: Toy) -> None:
    runner = _run(toy_run, checks_loss=False)
    with torch.no_grad():
        runner.model.large[7] = float("nan")

    runner.train()

    assert "epoch_4.pth" in _files(runner)


def test_nan_score_is_never_the_best_and_logged(toy_run: Toy) -> None:
    scores = [float("nan"), 0.2, float("nan"), 0.1]
    runner = _run(toy_run, validate=scores, save_best="acc")

    runner.train()

    assert "best_acc_epoch_2.pth" in _files(runner)
    assert "acc is NaN" in _log(runner)
