"""The lines of validations and tests, and the files of numbers beside the log."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine_evaluator import BaseMetric
from engine_registry import LOG_PROCESSORS
from engine_runner import Hook, Runner
from engine_runner.hooks import IterTimerHook, LoggerHook

MakeRunner = Callable[..., Runner]


def every(interval: int, **more: Any) -> dict[str, Any]:
    return {"logger": {"type": "LoggerHook", "interval": interval, **more}}


def log_of(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


def lines_of(runner: Runner, head: str) -> list[str]:
    return [
        line.partition("INFO - ")[2] for line in log_of(runner).splitlines() if f"{head}(" in line
    ]


def rows_of(runner: Runner, name: str = "scalars.json") -> list[dict[str, Any]]:
    text = Path(runner.log_dir, "vis_data", name).read_text()
    return [json.loads(line) for line in text.splitlines()]


def numbers(line: str) -> dict[str, float]:
    pairs = re.findall(r"(\S+): (-?[\d.]+(?:e[+-]\d+)?)(?=  |$)", line)
    return {name: float(value) for name, value in pairs}


class Loss(BaseMetric):
    """A metric whose name contains ``loss``, and one that only the first validation has."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = [8.0, 4.0, 2.0]

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        self.results.append(1)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        found = {"error_loss": self.scores.pop(0)}
        return {**found, "once": 1.0} if len(self.scores) == 2 else found


def test_validation_shows_no_number_of_an_earlier_one(make_runner: MakeRunner) -> None:
    runner = make_runner(val_evaluator=Loss(), default_hooks=every(2))

    runner.train()

    lines = [line for line in lines_of(runner, "Epoch") if "(val)" in line]
    assert [line for line in lines if "eta" in line and "error" in line] == []
    closing = [line.partition("]  ")[2] for line in lines if "eta" not in line]
    assert closing == [
        "error_loss: 8.0000  once: 1.0000",
        "error_loss: 4.0000",
        "error_loss: 2.0000",
    ]
    assert [row for row in rows_of(runner) if "error_loss" in row] == [
        {"error_loss": 8.0, "once": 1.0, "step": 1},
        {"error_loss": 4.0, "step": 2},
        {"error_loss": 2.0, "step": 3},
    ]


def test_resumed_run_shows_no_metric_of_the_checkpoint(make_runner: MakeRunner) -> None:
    make_runner(train_cfg={"by_epoch": True, "max_epochs": 1}).train()

    runner = make_runner(resume=True, default_hooks=every(1))
    runner.train()

    lines = [line for line in lines_of(runner, "Epoch") if "(val)" in line and "eta" in line]
    assert lines
    assert not any("error" in line for line in lines)


def test_number_recorded_during_a_validation_is_shown_at_once(make_runner: MakeRunner) -> None:
    class Record(Hook):
        def after_val_iter(self, runner: Any, batch_idx: int, *args: Any, **kwargs: Any) -> None:
            runner.message_hub.update_scalar("val/score", 10.0 * runner.epoch + batch_idx)

    runner = make_runner(custom_hooks=[Record()], default_hooks=every(2))
    runner.train()

    lines = [line for line in lines_of(runner, "Epoch") if "(val)" in line and "eta" in line]
    assert [numbers(line)["score"] for line in lines] == [11, 13, 21, 23, 31, 33]


def test_times_of_a_validation_are_its_own(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks=every(2))
    runner.train()
    runner.message_hub.get_scalar("val/time").update(1000.0)

    runner.val()

    last = [line for line in lines_of(runner, "Epoch") if "(val)" in line and "eta" in line][-1]
    assert numbers(last)["time"] < 100


class Kinds(BaseMetric):
    """Metrics of every kind that a metric may return."""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        self.results.append(1)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {
            "number": 1,
            "tensor": torch.tensor([2.0]),
            "array": np.array([[3.0]]),
            "numpy": np.float32(4.0),
            "curve": torch.tensor([1.0, 2.0]),
            "table": np.array([[1, 2], [3, 4]]),
            "text": np.array(["a"]),
            "complex": torch.tensor([1j]),
        }


def test_metrics_of_each_kind_are_logged_and_written(
    make_runner: MakeRunner, settings: Any
) -> None:
    loader = settings()["val_dataloader"]
    runner = make_runner(
        val_evaluator=Kinds(), test_dataloader=loader, test_cfg={}, test_evaluator=Kinds()
    )
    runner.val()
    runner.test()

    for mode in ("val", "test"):
        scalars = {
            name: runner.message_hub.get_scalar(f"{mode}/{name}").current()
            for name in ("number", "tensor", "array", "numpy")
        }
        assert scalars == {"number": 1, "tensor": 2.0, "array": 3.0, "numpy": 4.0}
        assert runner.message_hub.get_info(f"{mode}/curve").tolist() == [1, 2]
    (row,) = rows_of(runner)
    assert row == {"number": 1, "tensor": 2.0, "array": 3.0, "numpy": 4.0, "step": 0}
    (file,) = Path(runner.log_dir).glob("*.json")
    written = json.loads(file.read_text())
    assert written["curve"] == [1.0, 2.0]
    assert written["table"] == [[1, 2], [3, 4]]
    assert written["tensor"] == 2.0


def test_numbers_are_also_in_a_file_named_after_the_start(make_runner: MakeRunner) -> None:
    runner = make_runner()
    hook = next(hook for hook in runner.hooks if isinstance(hook, LoggerHook))
    assert hook.json_log_path is None

    runner.train()

    assert hook.json_log_path == f"{runner.timestamp}.json"
    rows = rows_of(runner, f"{runner.timestamp}.json")
    assert rows == rows_of(runner)
    assert len(rows) == 6


def test_storage_arguments_of_the_logger_hook_are_an_attribute(tmp_path: Path) -> None:
    arguments = {"backend": "local"}
    assert LoggerHook().backend_args is None
    assert LoggerHook(out_dir=tmp_path, backend_args=arguments).backend_args == arguments
    with pytest.warns(DeprecationWarning, match="file_client_args of LoggerHook is deprecated"):
        assert LoggerHook(out_dir=tmp_path, file_client_args=arguments).backend_args == arguments


def test_second_run_copies_its_logs_to_the_same_folder(
    make_runner: MakeRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    runner = make_runner(default_hooks=every(2, out_dir="~/copies"))
    runner.train()
    runner.val()

    logs = [path.relative_to(tmp_path) for path in (tmp_path / "copies").rglob("*.log")]
    assert logs == [Path("copies", "work", runner.timestamp, f"{runner.timestamp}.log")]
    copied = (tmp_path / logs[0]).read_text()
    assert log_of(runner).startswith(copied)  # the lines about the copies follow
    assert copied.count("Epoch(val)") == log_of(runner).count("Epoch(val)")


def test_timer_has_the_first_iteration_and_the_total(make_runner: MakeRunner) -> None:
    make_runner(train_cfg={"by_epoch": True, "max_epochs": 1}).train()
    runner = make_runner(resume=True)
    timer = next(hook for hook in runner.hooks if isinstance(hook, IterTimerHook))
    assert (timer.start_iter, timer.time_sec_tot) == (0, 0.0)

    runner.train()

    assert timer.start_iter == 4
    times = runner.message_hub.get_scalar("train/time").data[0]
    assert timer.time_sec_tot == pytest.approx(times[-8:].sum())


def test_debug_log_of_a_run_is_in_its_folder(make_runner: MakeRunner) -> None:
    runner = make_runner(log_level="DEBUG")
    runner.logger.debug("a detail")

    assert " - engine - DEBUG - a detail" in log_of(runner)
    assert Path(runner.log_dir).parent == Path(runner.work_dir)


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "removed"])
def test_logs_are_copied_when_the_run_ends(
    make_runner: MakeRunner, tmp_path: Path, keep: bool
) -> None:
    runner = make_runner(default_hooks=every(2, out_dir=tmp_path / "copies", keep_local=keep))

    runner.train()

    copies = tmp_path / "copies" / "work" / runner.timestamp
    names = {path.relative_to(copies).as_posix() for path in copies.rglob("*") if path.is_file()}
    numbered = {"vis_data/scalars.json", f"vis_data/{runner.timestamp}.json"}
    assert names >= {f"{runner.timestamp}.log", *numbered}
    assert "Epoch(train) [3][4/4]" in (copies / f"{runner.timestamp}.log").read_text()
    assert len((copies / "vis_data" / "scalars.json").read_text().splitlines()) == 9
    assert [Path(runner.log_dir, name).exists() for name in sorted(names)] == [keep] * len(names)


def test_copied_files_are_chosen_by_their_endings(make_runner: MakeRunner, tmp_path: Path) -> None:
    runner = make_runner(default_hooks=every(2, out_dir=tmp_path / "copies", out_suffix=".log"))

    runner.train()

    (copy,) = [path for path in (tmp_path / "copies").rglob("*") if path.is_file()]
    assert copy.name == f"{runner.timestamp}.log"
    assert f"Logs will be copied to {tmp_path / 'copies' / 'work'} when the run ends." in log_of(
        runner
    )


def test_name_of_the_experiment_is_logged_at_its_interval(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks=every(2, interval_exp_name=5), experiment_name="lines")

    runner.train()

    assert len(re.findall(rf"Exp name: {runner.experiment_name}\n", log_of(runner))) == 2


def test_log_processor_of_the_user_has_the_documented_methods_alone(
    make_runner: MakeRunner,
) -> None:
    @LOG_PROCESSORS.register_module(force=True)
    class Short:
        """Says little."""

        def get_log_after_iter(self, runner: Any, batch_idx: int, mode: str) -> Any:
            return {"n": batch_idx}, f"{mode} {batch_idx}"

        def get_log_after_epoch(
            self, runner: Any, batch_idx: int, mode: str, with_non_scalar: bool = False
        ) -> Any:
            return {"all": batch_idx}, f"{mode} all {batch_idx}"

    runner = make_runner(log_processor={"type": "Short"}, default_hooks=every(4))

    runner.train()

    assert re.findall(r" INFO - ((?:train|val) .*)", log_of(runner)) == [
        *("train 3", "val 3", "val all 4") * 3
    ]
    assert [set(row) - {"step"} for row in rows_of(runner)] == [{"n"}, {"all"}] * 3
