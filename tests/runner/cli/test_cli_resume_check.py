"""``engine resume-check``: what it prints, and its exit codes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_runner.resume_check._trial import Trial, read_trial

Command = Callable[..., Any]

UNTRAINED = ("train_cfg=None", "train_dataloader=None", "optim_wrapper=None")


@pytest.mark.slow
def test_exact_config_passes_in_processes_of_its_own(command: Command) -> None:
    done = command("resume-check", "cfg.py", "--iters", "2", "--at", "1")

    assert "resumed from iteration 1" in done.stdout
    assert done.stdout.rstrip().endswith("cfg.py: resumes exactly after iteration 1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cfg.py", "--iters", "8", "--at", "8"], "--at must be below --iters=8, got 8"),
        (["nothing.py"], "no such config file"),
        (["cfg.py", "--cfg-options", *UNTRAINED], "has no train_cfg"),
    ],
    ids=["place", "file", "training"],
)
def test_what_cannot_be_checked_is_an_error(
    command: Command, arguments: list[str], message: str
) -> None:
    done = command("resume-check", *arguments, code=2)

    assert message in done.stderr


@pytest.mark.parametrize(
    ("exit_code", "message"),
    [
        (1, "its process ended with exit code 1, and left no report"),
        (-9, "its process was killed, perhaps for lack of memory"),
    ],
    ids=["error", "killed"],
)
def test_process_without_a_report_is_described_by_its_exit_code(
    tmp_path: Path, exit_code: int, message: str
) -> None:
    trial = Trial(
        config_file="cfg.py",
        cfg_options=(),
        folder=str(tmp_path),
        output=str(tmp_path / "report.json"),
        end=3,
    )

    assert read_trial(trial, exit_code)["error"] == message
