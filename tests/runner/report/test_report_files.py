"""What the report reads from the files of runs, and what it writes."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from engine_fileio import try_lock
from engine_runner.cli._app import engine
from engine_runner.report import find_runs, read_run, write_report
from engine_runner.report._reduce import reduced


def _report(*arguments: object) -> Result:
    return CliRunner().invoke(engine, ["report", *map(str, arguments)])


def _records(work_dir: Path) -> Path:
    return next(work_dir.glob("*/vis_data/scalars.json"))


def test_command_writes_one_page_below_the_work_dir(make_run: Any) -> None:
    work_dir = make_run("a")

    result = _report(work_dir)

    assert result.exit_code == 0, result.output
    page = (work_dir / "report.html").read_text()
    assert result.output.startswith(f"{work_dir / 'report.html'}: 1 run, ")
    assert "http://" not in page.split("<script>")[0]
    assert "https://" not in page.split("<script>")[0]


def test_scalars_are_read_with_gaps_groups_and_without_a_broken_last_line(make_run: Any) -> None:
    work_dir = make_run("a")
    with _records(work_dir).open("ab") as file:
        file.write(b'{"loss": 0.1, "ite')

    scalars = read_run(find_runs([work_dir])[0]).scalars

    loss = scalars.series["loss"]
    assert scalars.broken == 1
    assert len(loss.values) == 40
    assert np.isnan(loss.values[6])
    assert loss.values[0] == 2.1
    groups = {name: one.group for name, one in scalars.series.items()}
    assert groups == {
        "accuracy": "metric", "iterations per second": "speed", "loss": "loss", "lr": "rate",
        "memory": "memory", "time": "speed",
    }  # fmt: skip
    assert scalars.metric_unit == "epoch"


def test_scalars_of_one_step_count_once_and_the_last_of_them(make_run: Any) -> None:
    work_dir = make_run("a", points=3)
    with _records(work_dir).open("a") as file:
        file.write(json.dumps({"loss": 9.0, "iter": 20, "step": 20}) + "\n")

    loss = read_run(find_runs([work_dir])[0]).scalars.series["loss"]

    assert loss.steps.tolist() == [10, 20, 30]
    assert loss.values[1] == 9.0


def test_resumed_attempt_belongs_to_the_run_that_it_continues(make_run: Any) -> None:
    work_dir = make_run("a")
    later = work_dir / "20260131_130000"
    (later / "vis_data").mkdir(parents=True)
    first = work_dir / "20260131_120000"
    line = (
        f"2026/01/31 13:00:00 - engine - INFO - the records of the run continue in {first}/vis_data"
    )
    warning = b"\n2026/01/31 13:00:01 - engine - WARNING - byte \xff\n"
    (later / "20260131_130000.log").write_bytes(line.encode() + warning)

    runs = find_runs([work_dir])

    assert [attempt.name for attempt in runs[0].attempts] == ["20260131_120000", "20260131_130000"]
    assert len(runs) == 1
    log = read_run(runs[0]).log
    assert log.messages[-1].text == "byte \ufffd"
    assert log.ended == "2026/01/31 13:00:01"


def test_log_counts_repeated_warnings_and_keeps_tracebacks(make_run: Any) -> None:
    log = read_run(find_runs([make_run("a")])[0]).log

    first, error = log.messages
    assert (first.level, first.count, first.last) == ("WARNING", 2, "2026/01/31 12:00:02")
    assert (
        error.text == "/src/model.py:7: it failed\nTraceback (most recent call last):\n  last line"
    )
    assert log.environment["PyTorch compiling details"] == "built with:\n- GCC 13.3"
    assert log.environment["Seed"] == "0"


def test_checkpoints_are_listed_with_size_last_and_why_best(make_run: Any) -> None:
    found = read_run(find_runs([make_run("a")])[0]).checkpoints

    by_name = {one.name: one for one in found}
    assert by_name["epoch_4.pth"].is_last
    assert by_name["epoch_4.pth"].size == 2048
    assert by_name["epoch_4.pth"].position == "epoch 4, iteration 40"
    assert by_name["best_accuracy_epoch_3.pth"].best == "accuracy 0.7500 at 3 epoch"


def test_runs_of_one_name_have_the_names_of_their_folders(make_run: Any, tmp_path: Path) -> None:
    make_run("x/same"), make_run("y/same")
    make_run("y/same", stamp="20260201_120000")

    names = [run.name for run in find_runs([tmp_path])]

    assert names == ["x/same", "y/same/20260131_120000", "y/same/20260201_120000"]


def test_page_escapes_what_runs_contain_and_masks_secrets(make_run: Any) -> None:
    work_dir = make_run("<script>alert(1)</script>")
    with _records(work_dir).open("a") as file:
        file.write(json.dumps({"</script><b>loss": 1.0, "iter": 1, "step": 1}) + "\n")
    out = work_dir / "page.html"

    write_report(find_runs([work_dir]), out)

    page = out.read_text()
    assert "<script>alert" not in page
    assert "<script>bad" not in page
    assert "</script><b>" not in page
    assert "hunter2" not in page
    assert "api_key" in page


def test_comparison_shows_only_keys_that_differ(make_run: Any, tmp_path: Path) -> None:
    make_run("a", lr=0.1), make_run("b", lr=0.2)

    write_report(find_runs([tmp_path / "runs"]), tmp_path / "page.html")

    table = (tmp_path / "page.html").read_text().split("Where the configs differ")[2]
    assert "optimizer.lr" in table.split("</table>")[0]
    assert "name" not in table.split("<tbody>")[1].split("</table>")[0]


def test_metric_sorts_runs_and_an_unknown_one_is_an_error(make_run: Any, tmp_path: Path) -> None:
    make_run("a", points=40), make_run("b", points=30)
    make_run("c", lr=0.01)

    result = _report(tmp_path / "runs", "--metric", "loss")
    unknown = _report(tmp_path / "runs", "--metric", "mIoU")

    assert result.exit_code == 0, result.output
    assert "<h1>c, a, b</h1>" in (tmp_path / "runs" / "report.html").read_text()
    assert unknown.exit_code == 2
    assert "got 'mIoU'; logged are: accuracy, " in unknown.output


def test_path_without_a_run_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("x")

    empty, file = _report(tmp_path), _report(tmp_path / "file.txt")
    missing = _report(tmp_path / "missing")

    assert empty.exit_code == 2
    assert "must contain a run" in empty.output
    assert file.exit_code == 2
    assert "must be a folder" in file.output
    assert missing.exit_code == 2
    assert "which does not exist" in missing.output


def test_run_without_values_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "20260131_120000" / "vis_data").mkdir(parents=True)

    result = _report(tmp_path)

    assert result.exit_code == 0, result.output
    page = (tmp_path / "report.html").read_text()
    assert "have not logged values yet" in page
    assert "none on disk" in page


def test_watched_page_reloads_while_the_run_is_in_progress(make_run: Any, tmp_path: Path) -> None:
    work_dir = make_run("a")
    descriptor = os.open(work_dir / ".engine-run.lock", os.O_RDWR | os.O_CREAT)
    assert try_lock(descriptor)
    out = tmp_path / "page.html"

    running = write_report(find_runs([work_dir]), out, refresh=5)
    page = out.read_text()
    os.close(descriptor)
    ended = write_report(find_runs([work_dir]), out, refresh=5)

    assert running.is_running
    assert 'http-equiv="refresh" content="5"' in page
    assert not ended.is_running
    assert "refresh" not in out.read_text().split("<body>")[0]


def test_reduced_curve_keeps_spikes_and_gaps() -> None:
    steps, values = np.arange(10_000.0), np.zeros(10_000)
    values[[1234, 5678]] = 1, -1
    values[4000:4100] = np.nan

    found, kept = reduced(steps, values, 50)

    assert len(found) <= 200
    assert {1234.0, 5678.0} <= set(found)
    assert np.nanmax(kept) == 1
    assert np.nanmin(kept) == -1


@pytest.mark.parametrize("name", ["vis_data", "."])
def test_log_folder_stands_for_its_run(make_run: Any, name: str) -> None:
    work_dir = make_run("a")
    make_run("a", stamp="20260201_120000")

    runs = find_runs([work_dir / "20260201_120000" / name])

    assert [run.attempts[0].name for run in runs] == ["20260201_120000"]


@pytest.mark.parametrize("option", [["--watch"], ["--watch", "0.5"], ["--watch=0.5"]])
def test_watch_of_a_run_that_has_ended_writes_once(make_run: Any, option: list[str]) -> None:
    work_dir = make_run("a")

    result = _report(*option, work_dir)

    assert result.exit_code == 0, result.output
    assert result.output.count("report.html") == 1


def test_watch_writes_until_the_training_ends(make_run: Any) -> None:
    work_dir = make_run("a")
    descriptor = os.open(work_dir / ".engine-run.lock", os.O_RDWR | os.O_CREAT)
    assert try_lock(descriptor)
    page = work_dir / "report.html"

    def end_after_the_first_page() -> None:
        while not page.exists():
            time.sleep(0.02)
        with _records(work_dir).open("a") as file:
            file.write(json.dumps({"later_loss": 1.0, "iter": 900, "step": 900}) + "\n")
        os.close(descriptor)

    with ThreadPoolExecutor() as threads:
        threads.submit(end_after_the_first_page)
        result = _report(work_dir, "--watch", "0.3")

    assert result.exit_code == 0, result.output
    assert "later_loss" in page.read_text()


def test_report_loads_no_torch(make_run: Any) -> None:
    script = """
import sys
from engine_runner.cli import main
try:
    main()
except SystemExit as error:
    assert error.code == 0
print(sorted({"torch", "matplotlib"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", script, "report", make_run("a")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert done.stdout.endswith("\n[]\n"), done.stdout + done.stderr
