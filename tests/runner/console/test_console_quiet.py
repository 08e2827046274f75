"""At most 25 lines before the first line of the training; the file has the long reports."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pytest
from torch import nn

from engine_config import Config
from engine_runner import Hook, Runner

MakeRunner = Callable[..., Runner]
HERE = Path(__file__).parent
REPORTS = (
    "System environment:",
    "Runtime environment:",
    "Hooks will be executed in the following order:\nbefore_run:\n",
    "The value is the same before and after calling `init_weights` of Regressor",
)


class Ended(Protocol):
    returncode: int
    stdout: str


class Scripts(Protocol):
    def run(self, script: str | Path, *arguments: object, folder: Path) -> Ended: ...
    def run_ranks(self, script: str | Path, *arguments: object, folder: Path) -> list[Ended]: ...


class Done(NamedTuple):
    stdout: str
    stderr: str


def before_training(printed: str) -> list[str]:
    """Return the lines up to the first one of the training."""
    lines = printed.splitlines()
    first = next(i for i, line in enumerate(lines) if re.search(r"(Epoch|Iter)\(train\)", line))
    return lines[:first]


def messages(lines: list[str]) -> Iterator[str]:
    return (re.sub(r"^[\d/]+ [\d:]+ - engine - INFO - ", "", line) for line in lines)


def log_of(work_dir: Path) -> str:
    (file,) = work_dir.glob("*/*.log")
    return file.read_text()


def test_script_prints_a_few_lines_before_the_training(
    make_runner: MakeRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_runner(default_hooks={"logger": {"type": "LoggerHook", "interval": 1}}).train()

    lines = list(messages(before_training(capsys.readouterr().out)))
    log = log_of(tmp_path / "work")
    # Room for the summary of the model, and for what a user's own parts log.
    assert len(lines) <= 15
    assert re.fullmatch(r"Device: cpu \(\d+ threads?\); PyTorch [\w.+]+, seed 3", lines[0])
    assert "Train data: Line, 12 samples, 4 batches of 3, 0 workers" in lines
    assert "Val data: Line, 12 samples, 4 batches of 3, 0 workers" in lines
    assert "Training: 3 epochs, 12 iterations" in lines
    assert any(line.startswith("Hooks: RuntimeInfoHook, IterTimerHook, ") for line in lines)
    assert f"Log: {next((tmp_path / 'work').glob('*/*.log'))}" in lines
    assert f"Checkpoints will be saved to {tmp_path / 'work'} by LocalBackend." in lines
    for report in REPORTS:
        assert report in log
        assert report.partition("\n")[0] not in "\n".join(lines)
    assert all(line in log for line in lines)


@pytest.mark.parametrize(
    ("dumped", "words"),
    [
        ({"model": nn.Linear(1, 1)}, "shortened objects, such as model; "),
        ({"parts": [{"ends": [nn.ReLU(), print]}]}, "shortened objects, such as parts.0.ends.0; "),
    ],
    ids=["model", "nested"],
)
def test_config_with_objects_prints_one_short_warning(
    make_runner: MakeRunner,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    dumped: dict[str, Any],
    words: str,
) -> None:
    make_runner(cfg=Config({"note": 1, **dumped}, filename="cfg.py")).train()

    (warning,) = (line for line in capsys.readouterr().out.splitlines() if "WARNING" in line)
    assert f"the config is written with {words}cfg.py cannot repeat the run" in warning
    assert len(warning) < 160
    written = Config.fromfile(tmp_path / "work" / "cfg.py")
    (recorded,) = (tmp_path / "work").glob("*/vis_data/config.py")
    assert Config.fromfile(recorded) == written
    assert written.note == 1


def test_config_that_its_format_cannot_hold_is_written_as_python(
    make_runner: MakeRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_runner(cfg=Config({"anchors": np.arange(2)}, filename="cfg.json")).train()

    (warning,) = (line for line in capsys.readouterr().out.splitlines() if "WARNING" in line)
    assert f"cfg.json cannot hold anchors; the config is in {tmp_path}/work/cfg.py" in warning
    assert list(Config.fromfile(tmp_path / "work" / "cfg.py").anchors) == [0, 1]


def test_level_debug_shows_the_reports_on_the_console(
    make_runner: MakeRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    make_runner(log_level="DEBUG").train()

    printed = capsys.readouterr().out
    assert all(report in printed for report in REPORTS)


def test_resumed_script_shows_where_it_continues(
    make_runner: MakeRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = {"logger": {"type": "LoggerHook", "interval": 1}}
    make_runner(train_cfg={"by_epoch": True, "max_epochs": 1}).train()
    capsys.readouterr()

    make_runner(resume=True, default_hooks=logger).train()

    lines = list(messages(before_training(capsys.readouterr().out)))
    assert "Training: 3 epochs, 12 iterations, 4 of them done" in lines
    assert len(lines) <= 25  # what the longer schedules change is listed


@pytest.mark.parametrize("mode", ["val", "test"])
def test_evaluation_alone_shows_its_data(
    make_runner: MakeRunner, settings: Any, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = settings()
    data = {f"{mode}_{key}": given[f"val_{key}"] for key in ("dataloader", "cfg", "evaluator")}
    without = [*(name for name in given if name.startswith(("train", "val"))), "optim_wrapper"]
    empty = dict.fromkeys([*without, "param_scheduler"])

    getattr(make_runner(**{**empty, **data}), mode)()

    lines = list(messages(capsys.readouterr().out.splitlines()))
    assert lines[0].startswith("Device: cpu")
    assert f"{mode.capitalize()} data: Line, 12 samples, 4 batches of 3, 0 workers" in lines
    assert not any(line.startswith(("Train data", "Training")) for line in lines)


def test_later_evaluations_of_a_runner_show_what_is_new(
    make_runner: MakeRunner, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {f"test_{key}": settings()[f"val_{key}"] for key in ("dataloader", "cfg", "evaluator")}
    runner = make_runner(**data)
    runner.train()
    capsys.readouterr()

    for evaluate in (runner.val, runner.test, runner.val):
        evaluate()

    lines = list(messages(capsys.readouterr().out.splitlines()))
    start = [line for line in lines if not re.match(r"Epoch\((val|test)\)", line)]
    assert start == ["Test data: Line, 12 samples, 4 batches of 3, 0 workers"]


def test_second_runner_of_a_process_shows_its_start(
    make_runner: MakeRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        make_runner().val()

    lines = list(messages(capsys.readouterr().out.splitlines()))
    assert sum(line.startswith("Device: cpu") for line in lines) == 2


def test_hooks_of_a_command_are_not_among_those_of_the_run(
    command: Callable[..., Done], project: Path
) -> None:
    options = ("--cfg-options", "train_cfg.max_epochs=1")
    trained = command("train", "cfg.py", "--work-dir", "work", *options)
    tested = command("test", "cfg.py", "work/epoch_1.pth", "--work-dir", "work")

    for done in (trained, tested):
        (line,) = (line for line in done.stdout.splitlines() if " Hooks: " in line)
        names = line.partition(" Hooks: ")[2].split(", ")
        assert {"Began", "CheckWeights"}.isdisjoint(names)
        assert names[0] == "RuntimeInfoHook"


def test_options_of_each_parameter_are_in_the_file_alone(
    make_runner: MakeRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrapper = {
        "optimizer": {"type": "SGD", "lr": 0.1},
        "paramwise_cfg": {"bias_lr_mult": 2.0},
    }
    make_runner(optim_wrapper=wrapper).train()

    assert "paramwise_options" not in capsys.readouterr().out
    assert "paramwise_options -- linear.bias:lr=0.2" in log_of(tmp_path / "work")


def test_command_prints_a_few_lines_before_the_training(
    command: Callable[..., Done], project: Path
) -> None:
    done = command(
        *("train", "cfg.py", "--work-dir", "work"),
        *(
            "--cfg-options",
            "default_hooks.logger.type=LoggerHook",
            "default_hooks.logger.interval=1",
        ),
    )

    assert len(before_training(done.stdout)) <= 15
    log = log_of(project / "work")
    assert "System environment:" in log
    assert 'model = dict(type="Line")'.replace('"', "'") in log


def test_command_that_fails_at_its_start_prints_the_error_first(
    command: Callable[..., Done], project: Path
) -> None:
    task = project / "task.py"
    task.write_text(
        task.read_text() + "\n\n@MODELS.register_module()\nclass Broken(Line):\n"
        "    def __init__(self):\n        raise RuntimeError('no such backbone')\n"
    )

    done = command("train", "cfg.py", "--cfg-options", "model.type=Broken", code=1)

    printed = done.stdout + done.stderr
    assert "no such backbone" in printed
    assert len(printed[: printed.index("no such backbone")].splitlines()) <= 25
    assert "System environment" not in printed


def test_run_that_fails_before_training_prints_no_report(
    make_runner: MakeRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    class Fail(Hook):
        def before_train(self, runner: Any) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_runner(custom_hooks=[Fail()]).train()

    assert len(capsys.readouterr().out.splitlines()) <= 10


def test_model_without_parameters_and_data_without_length_are_described(
    make_runner: MakeRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine_runner._start_report import log_start

    class Nothing(nn.Module):
        def forward(self) -> None: ...

    runner = make_runner(train_dataloader=iter([]), train_cfg={"by_epoch": True, "max_epochs": 1})
    runner.model = Nothing()
    log_start(runner, "train")

    lines = list(messages(capsys.readouterr().out.splitlines()))
    assert "Train data: list_iterator, batches" in lines
    assert "Training: 1 epoch" in lines


def test_only_rank_0_speaks(scripts: Scripts, tmp_path: Path) -> None:
    work = tmp_path / "work"

    first, second = scripts.run_ranks(
        HERE / "quiet_script.py", work, tmp_path / "store", folder=tmp_path
    )

    assert (first.returncode, second.returncode) == (0, 0), first.stdout + second.stdout
    assert second.stdout == ""
    lines = list(messages(before_training(first.stdout)))
    assert len(lines) <= 15
    assert "Train data: TensorDataset, 40 samples, 10 batches of 2 per process, 0 workers" in lines
    assert any(
        line.startswith("Device: cpu (1 thread) and 1 more, one per process") for line in lines
    )
    assert "The value is the same before and after" in log_of(work)
