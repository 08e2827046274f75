"""A damaged checkpoint is found, named, and passed over by a resume that may choose."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_fileio import get, put
from engine_model import read_checkpoint, save_checkpoint
from engine_model.weights import CheckpointError
from engine_runner import Runner, find_latest_checkpoint

Toy = Callable[..., Runner]
EPOCHS = {"by_epoch": True, "max_epochs": 3}


def _log(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


def _trained(toy_run: Toy, **changes: Any) -> Path:
    """Train three epochs, with a checkpoint of each, and return the work directory."""
    hook = {"type": "CheckpointHook", "interval": 1}
    runner = toy_run(train_cfg=EPOCHS, default_hooks={"checkpoint": hook}, **changes)
    runner.train()
    return Path(runner.work_dir)


def _resumed_at(toy_run: Toy, **changes: Any) -> tuple[int, Runner]:
    """Resume, and return the epoch from which the run continues."""
    runner = toy_run(train_cfg=EPOCHS, resume=True, **changes)
    runner.train_loop, runner.optim_wrapper  # noqa: B018  # `Runner.train` builds them first
    runner.load_or_resume()
    return runner.epoch, runner


def _flip(file: Path, bit: int) -> None:
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-400])


def test_each_of_sixty_flipped_bits_is_found(tmp_path: Path) -> None:
    file = tmp_path / "epoch_1.pth"
    save_checkpoint({"state_dict": {"weight": torch.randn(400)}, "meta": {"iter": 4}}, file)
    whole = file.read_bytes()
    size, found = len(whole) * 8, 0
    spread = [size * part // 60 + random.Random(part).randrange(size // 60) for part in range(60)]

    for bit in spread:
        file.write_bytes(whole)
        _flip(file, bit)
        with pytest.raises(CheckpointError, match=r"epoch_1\.pth is damaged"):
            read_checkpoint(file)
        found += 1

    assert found == 60


@pytest.mark.parametrize("cut", [1, 30, 58, 80, 200, 2000], ids=lambda cut: f"{cut}-bytes")
def test_truncated_file_is_found(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "epoch_1.pth"
    save_checkpoint({"weight": torch.randn(400)}, file)

    file.write_bytes(file.read_bytes()[:-cut])

    with pytest.raises(CheckpointError, match="epoch_1"):
        read_checkpoint(file)


def test_checksum_does_not_hinder_readers_of_torch(tmp_path: Path) -> None:
    file = tmp_path / "epoch_1.pth"
    save_checkpoint({"weight": torch.arange(9.0)}, file)

    for mapped in (False, True):
        loaded = torch.load(file, weights_only=True, mmap=mapped)
        assert torch.equal(loaded["weight"], torch.arange(9.0))


def test_file_without_a_checksum_is_read(tmp_path: Path) -> None:
    file = tmp_path / "older.pth"
    torch.save({"weight": torch.arange(3.0)}, file)

    assert read_checkpoint(file)["weight"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "gone", "no-run"])
def test_resume_takes_the_newest_whole_checkpoint(toy_run: Toy, damage: str) -> None:
    newest = _trained(toy_run) / "epoch_3.pth"
    if damage == "flipped":
        _flip(newest, 8 * 300)
    elif damage == "truncated":
        _truncate(newest)
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "gone":
        newest.unlink()
    else:
        torch.save([1, 2], newest)

    epoch, runner = _resumed_at(toy_run)

    assert epoch == 2
    assert "epoch_3.pth" in _log(runner)
    assert "epoch_2.pth" in _log(runner)
    assert "WARNING" in _log(runner)


def test_resume_passes_over_several_damaged_checkpoints(toy_run: Toy) -> None:
    folder = _trained(toy_run)
    for number in (2, 3):
        _truncate(folder / f"epoch_{number}.pth")

    epoch, runner = _resumed_at(toy_run)

    assert epoch == 1
    assert "Resuming from" in _log(runner)


def test_resume_of_damaged_checkpoints_alone_does_not_start_anew(toy_run: Toy) -> None:
    folder = _trained(toy_run)
    for number in (1, 2, 3):
        _truncate(folder / f"epoch_{number}.pth")

    with pytest.raises(CheckpointError, match="resume=False or another work_dir"):
        _resumed_at(toy_run)


def test_damaged_checkpoint_that_is_named_raises_and_lists_the_others(toy_run: Toy) -> None:
    newest = _trained(toy_run) / "epoch_3.pth"
    _flip(newest, 8 * 300)

    with pytest.raises(CheckpointError, match="is damaged") as raised:
        _resumed_at(toy_run, load_from=str(newest))

    assert raised.value.__notes__ == ["other checkpoints are there: epoch_2.pth, epoch_1.pth"]


MARKERS = {
    "not-utf-8": b"\xff\xfe\xfa",
    "long-name": b"x" * 5000,
    "unknown-scheme": b"nowhere://bucket/epoch_3.pth",
    "empty": b"",
    "null-byte": b"epoch\0_3.pth",
    "two-lines": b"epoch_3.pth\nepoch_2.pth\n",
    "folder-name": b"/tmp",
}


@pytest.mark.parametrize("text", MARKERS.values(), ids=MARKERS)
def test_marker_that_cannot_be_used_falls_back(toy_run: Toy, text: bytes) -> None:
    folder = _trained(toy_run)
    (folder / "last_checkpoint").write_bytes(text)

    epoch, runner = _resumed_at(toy_run)

    assert epoch == 3
    assert "last_checkpoint" in _log(runner)


def test_marker_that_is_a_folder_falls_back(toy_run: Toy) -> None:
    folder = _trained(toy_run)
    (folder / "last_checkpoint").unlink()
    (folder / "last_checkpoint").mkdir()

    assert find_latest_checkpoint(folder) == str(folder / "epoch_3.pth")


def test_copied_work_directory_resumes_its_own_file(toy_run: Toy, tmp_path: Path) -> None:
    original = _trained(toy_run)
    copied = tmp_path / "copied"
    shutil.copytree(original, copied)

    assert find_latest_checkpoint(copied) == str(copied / "epoch_3.pth")
    (copied / "epoch_3.pth").unlink()
    assert find_latest_checkpoint(copied) != str(original / "epoch_3.pth")


def test_best_checkpoint_is_resumed_when_nothing_else_is_whole(toy_run: Toy) -> None:
    best = {"checkpoint": {"type": "CheckpointHook", "interval": 1, "save_best": "acc"}}
    runner = toy_run(validate=[0.1, 0.9], default_hooks=best)
    runner.train()
    for file in Path(runner.work_dir).glob("epoch_*.pth"):
        _truncate(file)

    epoch, _ = _resumed_at(toy_run, validate=[0.1])

    assert epoch == 2


def test_damaged_checkpoint_of_another_storage_is_passed_over_and_named_by_its_address(
    toy_run: Toy, tmp_path: Path
) -> None:
    pytest.importorskip("fsspec")
    out = f"memory://{tmp_path.name}"
    hook = {"type": "CheckpointHook", "interval": 1, "out_dir": out}
    toy_run(train_cfg=EPOCHS, default_hooks={"checkpoint": hook}).train()
    newest = f"{out}/work/epoch_3.pth"
    data = bytearray(get(newest))
    data[300] ^= 4
    put(bytes(data), newest)

    epoch, runner = _resumed_at(toy_run)

    assert epoch == 2
    assert f"{newest} is damaged" in _log(runner)
    assert f"Resuming from {out}/work/epoch_2.pth" in _log(runner)
