"""The command that searches for a learning rate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_command_prints_a_table_and_a_suggestion(
    command: Command, project: Path, temporary: Path
) -> None:
    done = command("find-lr", "cfg.py", "--out", "lr.png", "--max-lr", "100")

    lines = done.stdout.splitlines()
    assert lines[0].split() == ["rate", "loss", "smoothed"]
    assert lines[1].split()[0] == "1.00e-06"
    assert "(optim_wrapper.optimizer.lr=" in done.stdout
    assert lines[-1] == "picture: lr.png"
    assert (project / "lr.png").exists()
    assert not (project / "work_dirs").exists()
    assert not any(temporary.iterdir())


def test_command_reports_a_wrong_option(command: Command) -> None:
    done = command("find-lr", "cfg.py", "--min-lr", "2", "--max-lr", "1", code=1)

    assert "Error: min_lr and max_lr must be 0 < min_lr < max_lr, got 2.0 and 1.0" in done.stderr
    assert "Traceback" not in done.stderr


def test_command_says_that_the_loss_does_not_fall(command: Command) -> None:
    done = command("find-lr", "cfg.py", "--num-iters", "3")

    assert "no suggestion: the loss does not fall" in done.stdout
