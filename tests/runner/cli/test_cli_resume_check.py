"""``engine resume-check``: what it prints, and its exit codes."""

from collections.abc import Callable
from typing import Any

import pytest

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
