"""Options that stand for values of the config: ``--seed``, ``--device``, ``--epochs`` …"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from tests.runner.conftest import Command

ITERATIONS = '_base_ = "cfg.py"\ntrain_cfg = dict(_delete_=True, by_epoch=False, max_iters=4)\n'


def dumped(folder: Path) -> str:
    return (folder / "cfg.py").read_text()


def test_shortcuts_of_train_set_values_of_the_config(command: "Command", project: Path) -> None:
    shortcuts = ["--seed", "5", "--device", "cpu", "--epochs", "1", "--work-dir", "runs/a"]

    command("train", "cfg.py", *shortcuts)

    text = dumped(project / "runs" / "a")
    assert "randomness = dict(seed=5)" in text
    assert "env_cfg = dict(device='cpu')" in text
    assert "max_epochs=1" in text
    saved = torch.load(project / "runs" / "a" / "epoch_1.pth", weights_only=False)
    assert saved["progress"]["epoch"] == 1
    assert saved["meta"]["seed"] == 5


def test_shortcuts_of_test_set_values_of_the_config(command: "Command", project: Path) -> None:
    torch.save(
        {"state_dict": {"linear.weight": torch.ones(1, 1), "linear.bias": torch.ones(1)}},
        project / "x.pth",
    )

    command("test", "cfg.py", "x.pth", "--seed", "6", "--device", "cpu", "--work-dir", "tests")

    assert "randomness = dict(seed=6)" in dumped(project / "tests")


@pytest.mark.parametrize(
    ("shortcut", "changed"),
    [
        (["--seed", "1"], "randomness.seed=2"),
        (["--device", "cpu"], "env_cfg.device=cuda"),
        (["--epochs", "1"], "train_cfg.max_epochs=2"),
        (["--work-dir", "a"], "work_dir=b"),
        (["--resume", "a.pth"], "load_from=b.pth"),
        (["--resume"], "resume=False"),
    ],
    ids=["seed", "device", "epochs", "work-dir", "resume-from", "resume"],
)
def test_contradicting_cfg_option_is_an_error(
    command: "Command", project: Path, shortcut: list[str], changed: str
) -> None:
    error = command("train", "cfg.py", *shortcut, "--cfg-options", changed, code=2).stderr

    assert f"{shortcut[0]} " in error
    assert f"--cfg-options {changed} contradict each other" in error
    assert not (project / "work_dirs").exists()


def test_equal_cfg_option_is_accepted(command: "Command", project: Path) -> None:
    command("train", "cfg.py", "--epochs", "1", "--cfg-options", "train_cfg.max_epochs=1")

    assert (project / "work_dirs" / "cfg" / "epoch_1.pth").is_file()


def test_epochs_of_a_training_by_iterations_are_an_error_with_the_way_out(
    command: "Command", project: Path
) -> None:
    (project / "iters.py").write_text(ITERATIONS)

    error = command("train", "iters.py", "--epochs", "3", code=2).stderr

    assert "train_cfg is that of IterBasedTrainLoop" in error
    assert "--cfg-options train_cfg.max_iters=N" in error


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("gpu", "device must be a device such as cpu, cuda, cuda:1 or mps, got 'gpu'"),
        ("cuda:99", "device must be one of this machine (cpu"),
    ],
)
def test_device_that_is_not_there_is_an_error_and_leaves_nothing(
    command: "Command", project: Path, device: str, words: str
) -> None:
    error = command("train", "cfg.py", "--device", device, code=2).stderr

    assert f"--device: {words}" in error
    assert not (project / "work_dirs").exists()


def test_shortcuts_are_origins_of_their_values(command: "Command", project: Path) -> None:
    wrong = ["--epochs", "1", "--cfg-options", "train_cfg.val_begin=x"]

    assert "cfg-options" in command("train", "cfg.py", *wrong, code=1).stderr


def test_schedules_keep_their_config_with_epochs(command: "Command", project: Path) -> None:
    schedule = "param_scheduler=[dict(type='LinearLR', start_factor=0.5, end=4)]"
    (project / "s.py").write_text(f'_base_ = "cfg.py"\n{schedule}\n')

    command("train", "s.py", "--epochs", "2")

    [scalars] = (project / "work_dirs").rglob("scalars.json")
    rows = map(json.loads, scalars.read_text().splitlines())
    rates = {row["epoch"]: row["lr"] for row in rows if "lr" in row}
    assert rates == pytest.approx({1: 0.05, 2: 0.05 + 0.05 / 3})
