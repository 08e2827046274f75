"""TimeCounter: as a decorator, around a block, with intervals."""

import logging
import re
import time

import pytest

from engine_utils.dl_utils import TimeCounter

LINE = re.compile(r"\[(.+)\]-time per run averaged in the past (\d+) runs: ([\d.]+) ms")


def lines_of(text: str) -> list[tuple[str, int, float]]:
    return [(tag, int(runs), float(ms)) for tag, runs, ms in LINE.findall(text)]


def test_decorated_function_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    @TimeCounter()
    def add(one: int, other: int = 1) -> int:
        time.sleep(0.02)
        return one + other

    assert add(1, other=2) == 3
    assert add.__name__ == "add"
    ((tag, runs, milliseconds),) = lines_of(capsys.readouterr().out)
    assert (tag, runs) == ("add", 1)
    assert milliseconds >= 20


def test_interval_is_the_number_of_runs_between_lines(capsys: pytest.CaptureFixture[str]) -> None:
    @TimeCounter(log_interval=2, tag="every second run")
    def run() -> None:
        pass

    for _ in range(5):
        run()

    assert [runs for _, runs, _ in lines_of(capsys.readouterr().out)] == [2, 4]


def test_warm_up_is_excluded(capsys: pytest.CaptureFixture[str]) -> None:
    counter = TimeCounter(warmup_interval=3, tag="warm up")

    for elapsed in (9, 9, 0.1, 0.3):
        counter.print_time(elapsed)

    lines = lines_of(capsys.readouterr().out)
    assert lines == [("warm up", 1, 100.0), ("warm up", 2, 200.0)]


def test_blocks_of_one_tag_count_together(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        with TimeCounter(log_interval=3, tag="block in a loop"):
            time.sleep(0.001)

    assert [line[:2] for line in lines_of(capsys.readouterr().out)] == [("block in a loop", 3)]


def test_failed_block_does_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), TimeCounter(tag="failing block"):
        raise KeyError("x")

    assert capsys.readouterr().out == ""


def test_logger_gets_the_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    with TimeCounter(tag="to the logger", logger=logging.getLogger("engine.test")):
        pass

    assert lines_of(caplog.text)[0][:2] == ("to the logger", 1)


def test_block_without_tag_raises() -> None:
    with pytest.raises(ValueError, match="needs a tag; write tag='name'"), TimeCounter():
        pass


@pytest.mark.parametrize("name", ["log_interval", "warmup_interval"])
def test_interval_below_one_raises(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be >= 1, got 0"):
        TimeCounter(**{name: 0})  # type: ignore[arg-type]  # one name each
