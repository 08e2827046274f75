"""The manual's complete scripts run, under our names of the packages, and print what it shows."""

import re
import runpy
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine_logging import MessageHub, MMLogger
from engine_visualization import Visualizer

SCRIPTS = Path(__file__).parent / "scripts"
TRAIN_LINE = re.compile(r"Epoch\(train\) *\[ *(\d+)\]\[ *(\d+)/(\d+)\]")

Printed = Callable[[str], str]


@pytest.fixture
def printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Printed]:
    """Return a function that runs a script in an empty folder, and returns what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(SCRIPTS)

    def run(name: str) -> str:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        return capsys.readouterr().out

    yield run
    for name in ("toy", "awesome"):
        sys.modules.pop(name, None)
    for logger in list(MMLogger._instance_dict.values()):
        logger.close()
    for kind in (MessageHub, Visualizer):
        for name in list(kind._instance_dict):
            kind.release_instance(name)


def _train_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if "(train)" in line]


def _number(line: str, name: str) -> float:
    found = re.search(rf"(?:^| ){name}: ([-\d.e+]+)", line)
    assert found, (name, line)
    return float(found[1])


@pytest.mark.parametrize(
    ("script", "epochs"),
    [("accumulate.py", 1), ("default_log.py", 1), ("five_epochs.py", 5)],
    ids=["accumulation", "default-log", "five-epochs"],
)
def test_script_of_the_toy_model_logs_and_saves(
    script: str, epochs: int, printed: Printed, tmp_path: Path
) -> None:
    lines = _train_lines(printed(script))

    places = [tuple(map(int, TRAIN_LINE.search(line).groups())) for line in lines]  # type: ignore[union-attr]  # each line matches
    assert places == [(e, i, 25) for e in range(1, epochs + 1) for i in (10, 20)]
    first, last = lines[0], lines[-1]
    assert "lr: 1.0000e-02" in first
    assert _number(first, "loss") == pytest.approx(
        _number(first, "loss1") + _number(first, "loss2"), abs=2e-4
    )
    assert _number(last, "loss") < _number(first, "loss")
    assert (tmp_path / "tmp_dir" / f"epoch_{epochs}.pth").is_file()


def test_global_mean_takes_the_place_of_the_entry(printed: Printed) -> None:
    usual = _train_lines(printed("default_log.py"))
    shown = _train_lines(printed("global_mean.py"))

    assert [line.count("loss1:") for line in shown] == [1, 1]
    # Later losses are smaller, so the mean of all is above that of the last ten.
    assert _number(shown[1], "loss1") > _number(shown[1], "loss2") ** 2
    assert len(usual) == len(shown)


def test_second_entry_comes_last_and_equals_the_first_in_the_first_window(
    printed: Printed,
) -> None:
    first, second = _train_lines(printed("second_entry.py"))

    assert _number(first, "loss1_global") == _number(first, "loss1")
    assert _number(second, "loss1_global") > _number(second, "loss1")
    assert first.index("loss1_global") > first.index("loss:")


def test_largest_loss_of_the_run_is_kept(printed: Printed) -> None:
    first, second = _train_lines(printed("two_maxima.py"))

    assert _number(first, "loss1_local_max") == _number(first, "loss1_global_max")
    assert _number(second, "loss1_global_max") == _number(first, "loss1_global_max")
    assert _number(second, "loss1_local_max") < _number(first, "loss1_local_max")


def test_number_of_the_model_is_logged_under_its_name(printed: Printed) -> None:
    first, _ = _train_lines(printed("custom_log.py"))

    assert "train/loss_tmp" not in first
    assert _number(first, "loss_tmp") >= 0


def test_debug_log_names_where_parts_come_from(printed: Printed, tmp_path: Path) -> None:
    printed("debug_log.py")

    (log,) = (tmp_path / "tmp_dir").rglob("*.log")
    text = log.read_text()
    assert 'Get class `RuntimeInfoHook` from "hook" registry in "engine"' in text
    assert re.search(r"An `LocalVisBackend` instance is built from registry", text)


@pytest.mark.parametrize("script", ["runner_of_objects.py", "runner_of_config.py"])
def test_tutorial_of_the_runner_trains(script: str, printed: Printed, tmp_path: Path) -> None:
    lines = printed(script).splitlines()

    scores = [line for line in lines if "(val)" in line and "accuracy" in line]
    assert len(scores) == 3  # from the second of four epochs on
    assert _number(scores[-1], "accuracy") > 75
    rates = [_number(line, "lr") for line in lines if "(train)" in line]
    assert max(rates) == pytest.approx(1e-3)
    assert min(rates) == pytest.approx(1e-5)
    assert (tmp_path / "exp" / "my_awesome_model" / "epoch_4.pth").is_file()


def test_loops_hooks_and_runner_of_ones_own_act(printed: Printed) -> None:
    lines = printed("custom_loops.py").splitlines()

    assert "environment of a custom runner" in lines
    assert lines.count("both ['accuracy'] ['accuracy']") == 2
    assert "iterations 16 calls 12" in lines  # twice per batch; two points per batch of 48 / 16


def test_object_with_a_name_is_found_anywhere(printed: Printed) -> None:
    assert "values 100 50" in printed("global_class.py")


def test_modules_of_parents_and_siblings_are_built(printed: Printed) -> None:
    lines = printed("sibling_registries.py").splitlines()

    assert [line for line in lines if line.startswith("call")] == [
        "call LogSoftmax.forward",
        "call RReLU2.forward",
        "call RReLU2.forward",
        "call LogSoftmax.forward",
        "call LogSoftmax.forward",
    ]


def test_files_are_loaded_by_their_suffix(printed: Printed) -> None:
    text = printed("file_handlers.py")

    assert text.count("{'a': [1, 2]}") == 4
    assert "text two words" in text


def test_modules_share_a_message_hub(printed: Printed) -> None:
    assert printed("shared_hub.py").splitlines() == [
        "Learning rate is 0.001",
        "loss is 0.1",
        "meta is {'experiment': 'digits.py', 'repo': 'engine'}",
    ]


def test_weights_of_a_file_initialize_a_model(printed: Printed) -> None:
    assert "equal True" in printed("pretrained.py")


def test_sharded_training_runs_on_two_ranks(scripts: Any, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = Path(__file__).with_name("launch.py")
    for done in scripts.run_ranks(launch, port, SCRIPTS / "shard.py", folder=tmp_path):
        assert done.returncode == 0, done.stdout
        # The loader is made by hand for one process; each rank trains on half of its 25 batches.
        assert "wrapper MMFullyShardedDataParallel iterations 13" in done.stdout
