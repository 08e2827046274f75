"""A script that calls `Runner.train` saves when it is asked to stop, as the command line does."""

import errno
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from tests.runner.conftest import Scripts

SCRIPT = Path(__file__).with_name("signal_script.py")

Found = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, scripts: "Scripts") -> Found:
    """Run all cases in one process, and return what each found."""
    folder = tmp_path_factory.mktemp("signals")
    done = scripts.run(SCRIPT, folder, folder=folder)
    assert done.returncode == 0, done.stdout
    cases: Found = json.loads(done.stdout.splitlines()[-1])
    return cases


@pytest.mark.parametrize(
    ("name", "end"), [("SIGINT", "KeyboardInterrupt()"), ("SIGTERM", "SystemExit(143)")]
)
def test_script_finishes_the_iteration_saves_and_stops(found: Found, name: str, end: str) -> None:
    assert found[name] == {
        "end": end,
        "saved": 3,
        "latest": "interrupted.pth",
        "handlers as before": True,
        "resumed": 8,
    }


def test_signal_after_the_last_iteration_stops_the_script(found: Found) -> None:
    assert found["late"] == {
        "end": "SystemExit(143)",
        "files": ["epoch_1.pth", "epoch_2.pth"],
        "handlers as before": True,
    }


def test_second_signal_stops_at_once(found: Found) -> None:
    assert found["twice"] == {"end": "KeyboardInterrupt()", "files": [], "handlers as before": True}


def test_handler_of_the_program_is_called_after_the_checkpoint_is_saved(found: Found) -> None:
    assert found["own handler"] == {
        "end": "SystemExit(143)",
        "caught": [[signal.SIGTERM, ["interrupted.pth"]]],
        "handler as before": True,
    }


def test_ignored_signal_stays_ignored(found: Found) -> None:
    assert found["ignored"] == {"end": "done", "files": ["epoch_1.pth", "epoch_2.pth"]}


def test_only_the_named_signals_are_handled(found: Found) -> None:
    assert found["SIGUSR1"] == {"end": "SystemExit(138)", "files": ["interrupted.pth"]}


def test_signal_ends_a_program_that_is_stuck_in_a_library(found: Found) -> None:
    assert found["stuck"] == {"code": 143, "files": []}


def test_closed_terminal_saves_and_exits_with_129(found: Found) -> None:
    assert found["terminal"] == {"code": 129, "files": ["interrupted.pth"]}


def test_full_disk_logs_an_error_and_ends_as_the_signal_asks(found: Found) -> None:
    assert found["full"] == {
        "end": "SystemExit(143)",
        "files": ["epoch_1.pth"],
        "error": [
            "stopped by SIGTERM after iteration 6, which is not saved: "
            f"[Errno {errno.EFBIG}] File too large: '/interrupted.pth'"
        ],
        "resumed": 4,
    }


def test_signal_of_a_forked_child_does_not_reach_its_parent(found: Found) -> None:
    assert found["child"] == {"end": "done", "files": ["epoch_1.pth", "epoch_2.pth"]}


def test_training_in_a_thread_leaves_the_handlers_alone(found: Found) -> None:
    assert found["thread"] == {"handlers as before": True, "files": ["epoch_1.pth", "epoch_2.pth"]}


def test_hook_that_is_left_out_handles_nothing(found: Found) -> None:
    assert found["left out"] == {
        "end": "KeyboardInterrupt()",
        "files": [],
        "handlers as before": True,
    }


def test_training_that_fails_leaves_the_handlers_as_they_were(found: Found) -> None:
    assert found["failure"] == {
        "end": "ZeroDivisionError()",
        "files": [],
        "handlers as before": True,
    }


def test_script_ended_by_sigterm_exits_with_143(tmp_path: Path, scripts: "Scripts") -> None:
    done = scripts.run(SCRIPT, tmp_path, "terminate", folder=tmp_path)

    assert done.returncode == 128 + signal.SIGTERM, done.stdout
    assert "finishing this iteration, then saving" in done.stdout
    assert "Traceback" not in done.stdout
    assert torch.load(tmp_path / "interrupted.pth", weights_only=True)["meta"]["iter"] == 3
