"""The bar of a training on a terminal."""

import io
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from engine_runner import Hook, Runner

SHOW_CURSOR = "\x1b[?25h"
HIDE_CURSOR = "\x1b[?25l"

MakeRunner = Callable[..., Runner]


class Terminal(io.StringIO):
    """Keeps what a terminal would show."""

    def isatty(self) -> bool:
        return True


OpenTerminal = Callable[[], Terminal]


@pytest.fixture
def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Return a function that puts a terminal in the place of stdout.

    Pytest sets stdout between a fixture and its test, so that the test has to call this.
    """

    def put() -> Terminal:
        for name, value in {"TERM": "xterm", "COLUMNS": "200", "LINES": "50"}.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        return terminal

    return put


def _lines(terminal: Terminal) -> list[str]:
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    return [line.strip() for line in re.split(r"[\r\n]+", plain)]


def test_bar_shows_epochs_and_iterations_below_whole_log_lines(
    make_runner: MakeRunner, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal()
    make_runner(
        default_hooks={"logger": {"type": "LoggerHook", "interval": 2}},
        **dict.fromkeys(("val_cfg", "val_dataloader", "val_evaluator")),
    ).train()

    lines = _lines(terminal)
    assert any(re.match(r"epoch 3/3 .* 12/12", line) for line in lines)  # drawn at the end at least
    logged = [line for line in lines if "Epoch(train)" in line]
    assert len(logged) == 6
    assert all(re.search(r"loss: \d+\.\d{4}$", line) for line in logged)
    assert sys.stdout is terminal


def test_bar_shows_that_the_run_validates(
    make_runner: MakeRunner, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal()

    make_runner().train()

    assert any(re.match(r"validating .* 12/12", line) for line in _lines(terminal))


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
def test_bar_gives_the_terminal_its_cursor_back(
    make_runner: MakeRunner, open_terminal: OpenTerminal, fails: bool
) -> None:
    terminal = open_terminal()

    class Fail(Hook):
        def before_val(self, runner: Any) -> None:
            raise ZeroDivisionError

    runner = make_runner(custom_hooks=[Fail()] * fails)
    if fails:
        with pytest.raises(ZeroDivisionError):
            runner.train()
    else:
        runner.train()

    shown = terminal.getvalue()
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)
    assert sys.stdout is terminal


def test_bar_of_a_resumed_run_starts_where_that_continues(
    make_runner: MakeRunner, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal()
    make_runner(train_cfg={"by_epoch": True, "max_epochs": 1}).train()
    terminal.truncate(0)

    make_runner(resume=True).train()

    shown = [line for line in _lines(terminal) if re.search(r" \d+/12", line)]
    assert all(int(re.findall(r" (\d+)/12", line)[0]) >= 4 for line in shown)


@pytest.mark.parametrize("left_out", [True, False], ids=["left-out", "dumb-terminal"])
def test_no_bar_is_shown(
    make_runner: MakeRunner,
    open_terminal: OpenTerminal,
    monkeypatch: pytest.MonkeyPatch,
    left_out: bool,
) -> None:
    terminal = open_terminal()
    if not left_out:
        monkeypatch.setenv("TERM", "dumb")

    make_runner(default_hooks={"progress_bar": None} if left_out else None).train()

    assert HIDE_CURSOR not in terminal.getvalue()
    assert "epoch 3/3" not in terminal.getvalue()


def test_run_inside_another_has_a_bar_of_its_own(
    make_runner: MakeRunner, open_terminal: OpenTerminal, tmp_path: Any
) -> None:
    terminal = open_terminal()
    other = make_runner(work_dir=str(tmp_path / "other"))

    class Nest(Hook):
        def after_train_epoch(self, runner: Any) -> None:
            if other.iter == 0:
                other.train()

    make_runner(custom_hooks=[Nest()]).train()

    assert other.iter == 12
    assert sys.stdout is terminal
