"""The bar as a person sees it: on a real terminal, in a narrow one, and in a notebook."""

import os
import pty
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from engine_runner import Hook, Runner
from engine_runner.hooks._progress_display import BarLine, open_display

MakeRunner = Callable[..., Runner]


class Screen:
    """What a terminal shows after each write: lines, and the one that is redrawn."""

    def __init__(self) -> None:
        self.lines, self.row, self.column, self.seen = [""], 0, 0, [""]

    def feed(self, text: str) -> None:
        for part in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]|[^\x1b\r\n]+", text):
            line = self.lines[self.row]
            if part == "\n":
                self.row += 1
                self.lines += [""] * (self.row == len(self.lines))
            elif part == "\r":
                self.column = 0
            elif part == "\x1b[2K":
                self.lines[self.row] = ""
            elif part == "\x1b[1A":
                self.row -= 1
            elif part[0] != "\x1b":
                start, self.column = self.column, self.column + len(part)
                self.lines[self.row] = line[:start] + part + line[self.column :]
                self.seen.append(self.lines[self.row])


@contextmanager
def real_terminal(monkeypatch: pytest.MonkeyPatch, width: int = 160) -> Iterator[Screen]:
    """Put a pseudoterminal in the place of stdout; what it shows is read at the end."""
    for name in ("CI", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    # rich asks the descriptors 0 to 2 for their size, which pytest has redirected.
    for name, value in {"TERM": "xterm", "COLUMNS": str(width), "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    leader, follower = pty.openpty()
    chunks: list[bytes] = []

    def read() -> None:
        while True:
            try:
                chunks.append(os.read(leader, 65536))
            except OSError:  # the terminal is closed
                return

    reader = threading.Thread(target=read)
    reader.start()
    screen = Screen()
    try:
        with open(follower, "w", encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            yield screen
            monkeypatch.undo()
    finally:
        reader.join(timeout=30)
        os.close(leader)
        screen.feed(b"".join(chunks).decode())


class Print(Hook):
    """Print at each second iteration, as a user's code does."""

    def after_train_iter(self, runner: Any, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        if batch_idx % 2:
            sys.stdout.write(f"printed at {batch_idx}\n")


def test_terminal_shows_one_bar_below_whole_lines(
    make_runner: MakeRunner, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings()
    test = {f"test_{key}": given[f"val_{key}"] for key in ("dataloader", "cfg", "evaluator")}
    logger = {"type": "LoggerHook", "interval": 2}
    runner = make_runner(default_hooks={"logger": logger}, custom_hooks=[Print()], **test)
    with real_terminal(monkeypatch) as screen:
        runner.train()
        runner.test()

    bars = [line for line in screen.seen if re.match(r"(epoch|validating|testing)\b", line)]
    rest = [line for line in screen.lines if line]
    assert any(
        re.match(r"epoch 2/3 █+░* +\d+/12  loss \d\.\d{4}  error \d\.\d{4}", b) for b in bars
    )
    assert any(re.search(r"  error \d\.\d{4}  [\d.]+k? samples/s\b", bar) for bar in bars)
    assert any(re.match(r"validating ░+ 0/4", bar) for bar in bars)
    assert any(re.match(r"testing ░+ 0/4", bar) for bar in bars)
    assert re.match(r"epoch 3/3 █+ 12/12 ", [bar for bar in bars if bar.startswith("epoch")][-1])
    # Nothing of a bar is left among the lines, and no line is cut.
    assert not set(rest) & set(bars)
    assert rest.count("printed at 1") == 3
    logged = [line for line in rest if "Epoch(train)" in line]
    assert len(logged) == 6
    assert all(re.search(r"loss: \d\.\d{4}$", line) for line in logged)


def test_bar_of_a_training_by_iterations_on_data_without_length(
    make_runner: MakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    batches = [(torch.ones(2, 1), torch.ones(2, 1))] * 4
    runner = make_runner(
        train_dataloader=(batch for batch in batches),
        train_cfg={"by_epoch": True, "max_epochs": 1},
        param_scheduler=None,
        default_hooks={"logger": {"type": "LoggerHook", "interval": 1}},
        **dict.fromkeys(("val_cfg", "val_dataloader", "val_evaluator")),
    )
    with real_terminal(monkeypatch) as screen:
        runner.train()

    bars = [line for line in screen.seen if line.startswith("epoch 1/1")]
    assert re.fullmatch(r"epoch 1/1 4  loss \d\.\d{4}  [\d.k]+ iterations/s", bars[-1])


def test_bar_of_a_training_by_iterations(
    make_runner: MakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(
        train_cfg={"by_epoch": False, "max_iters": 5, "val_interval": 5},
        param_scheduler=None,
    )
    with real_terminal(monkeypatch, width=40) as screen:
        runner.train()

    bars = [line for line in screen.seen if line.startswith("training")]
    assert re.match(r"training █+ 5/5", bars[-1])
    assert max(map(len, bars)) < 40


def test_bar_reads_nothing_that_the_log_has_not_read(
    make_runner: MakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[int] = []

    class Watch(Hook):
        priority = "LOWEST"  # after the bar, which is added before

        def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
            waiting.append(len(runner.message_hub.get_scalar("train/loss")._waiting))

    runner = make_runner(
        default_hooks={"logger": {"type": "LoggerHook", "interval": 4}},
        custom_hooks=[Watch()],
        **dict.fromkeys(("val_cfg", "val_dataloader", "val_evaluator")),
    )
    with real_terminal(monkeypatch):
        runner.get_hooks_info()
        bar = next(hook for hook in runner.hooks if type(hook).__name__ == "ProgressBar")
        monkeypatch.setattr(bar, "_due", 0.0)
        runner.train()

    assert waiting == [1, 2, 3, 0] * 3


def test_bar_and_lines_name_each_of_several_sets(
    make_runner: MakeRunner, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = settings()["val_dataloader"]
    runner = make_runner(
        val_dataloader={"easy": loader, "hard": {**loader, "batch_size": 6}},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 2}},
    )
    with real_terminal(monkeypatch) as screen:
        runner.val()

    assert any(re.match(r"validating easy ░+ 0/4", line) for line in screen.seen)
    assert any(re.match(r"validating hard ░+ 0/2", line) for line in screen.seen)
    lines = [line.partition("INFO - ")[2] for line in screen.lines]
    assert "Val data easy: Line, 12 samples, 4 batches of 3, 0 workers" in lines
    assert "Val data hard: Line, 12 samples, 2 batches of 6, 0 workers" in lines
    assert any(re.match(r"Epoch\(val\) \[1\]\[4/4\]  set: easy  eta: ", line) for line in lines)
    assert any(re.match(r"Epoch\(val\) \[1\]\[2/2\]  set: hard  eta: ", line) for line in lines)
    closing = r"Epoch\(val\) \[1\]\[6/6\]  easy/error: \d\.\d{4}  hard/error: \d\.\d{4}"
    assert any(re.fullmatch(closing, line) for line in lines)


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (80, "epoch 1/2 ###############............... 10/20  loss 0.5  eta 0:00:01  acc 0.9"),
        (55, "epoch 1/2 ###.... 10/20  loss 0.5  eta 0:00:01  acc 0.9"),
        (40, "epoch 1/2 #######....... 10/20  loss 0.5"),
        (24, "epoch 1/2 ####.... 10/20"),
        (12, "epoch 1/2 10"),
    ],
    ids=str,
)
def test_line_fits_its_width(width: int, text: str) -> None:
    line = BarLine(
        title="epoch 1/2", done=10, total=20, facts=("loss 0.5", "eta 0:00:01", "acc 0.9")
    )

    assert line.text(width, "#.") == text
    assert len(text) <= width


def test_process_that_is_still_importing_ipython_is_no_notebook(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread of a tracker imports it, so that another thread sees the module half made."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))

    assert open_display() is None


def test_notebook_shows_one_bar_beside_the_log(tmp_path: Path) -> None:
    cell = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import warnings
from conftest import Line, MeanError, Regressor
from engine_runner import Runner
loader = dict(
    dataset=Line(), batch_size=3, sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
)
Runner(
    model=Regressor(), work_dir={str(tmp_path / "work")!r}, train_dataloader=loader,
    train_cfg=dict(by_epoch=True, max_epochs=2),
    optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
    val_dataloader=loader, val_cfg=dict(), val_evaluator=MeanError(),
    default_hooks=dict(logger=dict(type="LoggerHook", interval=2)),
).train();
"""
    code = nbformat.v4.new_code_cell(cell)  # type: ignore[no-untyped-call]  # nbformat has no types
    notebook = nbformat.v4.new_notebook(cells=[code])  # type: ignore[no-untyped-call]  # as above

    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()

    outputs = notebook.cells[0].outputs
    (bar,) = [one["data"]["text/plain"] for one in outputs if one.output_type == "display_data"]
    log = "".join(one["text"] for one in outputs if one.output_type == "stream")
    assert re.fullmatch(
        r"epoch 2/2 █{30} 8/8  loss \d\.\d{4}  error \d\.\d{4}  [\d.k]+ samples/s  eta 0:00:00", bar
    )
    assert log.count("Epoch(train)") == 4
    assert "█" not in log
