"""A training of the command line, in a process of its own that gets signals."""

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from engine_runner import cli

if TYPE_CHECKING:
    from tests.runner.conftest import Command, Scripts

COMMAND = Path(cli.__file__).with_name("__main__.py")


def _sent(project: Path, scripts: "Scripts", code: int, *options: str) -> str:
    """Train in a process that sends itself a signal, and return what it printed."""
    command = ("train", "send.py", "--work-dir", "work", "--cfg-options", *options)
    done = scripts.run(COMMAND, *command, folder=project)
    assert done.returncode == code, done.stdout
    return done.stdout


def _resumed(command: "Command") -> str:
    return command("train", "cfg.py", "--work-dir", "work", "--resume").stdout


def test_interrupted_training_saves_and_resumes(
    project: Path, command: "Command", scripts: "Scripts"
) -> None:
    printed = _sent(project, scripts, 128 + signal.SIGTERM, "custom_hooks.0.at=6")
    assert "stopped by SIGTERM after iteration 6" in printed

    assert "iter: 6" in _resumed(command)
    assert (project / "work" / "epoch_3.pth").is_file()


def test_ctrl_c_exits_with_130(project: Path, scripts: "Scripts") -> None:
    printed = _sent(project, scripts, 130, "custom_hooks.0.number=2")

    assert "stopped by SIGINT after iteration 6" in printed
    assert "Traceback" not in printed


def test_signal_to_the_whole_process_group_saves_after_the_step(
    project: Path, scripts: "Scripts"
) -> None:
    slow = ("train_dataloader.dataset.slow=0.05", "train_dataloader.num_workers=1")
    printed = _sent(project, scripts, 128 + signal.SIGTERM, "custom_hooks.0.group=True", *slow)

    assert printed.count("finishing this iteration") == 1
    [stopped_at] = map(int, re.findall(r"after iteration (\d+)", printed))
    saved = torch.load(project / "work" / "interrupted.pth", weights_only=True)
    assert saved["meta"]["iter"] == stopped_at == 6  # the workers have gone on


def test_signal_in_a_validation_exits_where_nothing_is_lost(
    project: Path, scripts: "Scripts"
) -> None:
    options = ("custom_hooks.0.point=val", "custom_hooks.0.at=1")
    printed = _sent(project, scripts, 128 + signal.SIGTERM, *options)

    assert "stopped by SIGTERM while validating" in printed
    assert "Epoch(val) [1][4/4]" not in printed


def test_killed_training_resumes_from_a_whole_checkpoint(
    project: Path, command: "Command", scripts: "Scripts"
) -> None:
    options = ("custom_hooks.0.point=save", "custom_hooks.0.at=2", "custom_hooks.0.number=9")
    printed = _sent(project, scripts, -signal.SIGKILL, *options)
    assert "Saving checkpoint at 2 epochs" in printed

    assert "resumed epoch: 1, iter: 4" in _resumed(command)
    assert (project / "work" / "epoch_3.pth").is_file()
