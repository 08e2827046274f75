"""Lines on the console and in files, by rank, level and logger."""

import copy
import gc
import io
import logging
import os
import pickle
import re
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from engine_logging import MMLogger, print_log

STAMP = r"\d{4}/\d{2}/\d{2} \d{2}:\d{2}:\d{2}"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_line_has_time_name_level_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    logger = MMLogger.get_instance("engine", log_level="INFO")
    logger.info("this is a %s", "test")
    logger.debug("not shown")
    assert re.fullmatch(f"{STAMP} - engine - INFO - this is a test\n", capsys.readouterr().out)


def test_error_line_shows_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    MMLogger.get_instance("engine").error("division by zero")
    here = re.escape(__file__)
    line = capsys.readouterr().out
    assert re.fullmatch(
        rf"{STAMP} - engine - ERROR - {here} - test_error_line_shows_its_place - \d+ - "
        r"division by zero\n",
        line,
    )


def test_exception_is_followed_by_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError:
        MMLogger.get_instance("engine").exception("failed")
    assert capsys.readouterr().out.endswith("ZeroDivisionError: by zero\n")


def test_line_has_the_logger_name(capsys: pytest.CaptureFixture[str]) -> None:
    logger = MMLogger.get_instance("instance", logger_name="mydet")
    logger.info("hello")
    assert " - mydet - INFO - hello" in capsys.readouterr().out
    assert (logger.name, logger.instance_name) == ("mydet", "instance")
    assert logger is not logging.getLogger("mydet")


def test_color_is_used_on_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = MMLogger.get_instance("engine")
    for name in ("NO_COLOR", "TERM"):
        os.environ.pop(name, None)
    shown = []
    for stream, setting in ((Terminal(), ""), (io.StringIO(), ""), (Terminal(), "1")):
        monkeypatch.setattr(sys, "stdout", stream)
        os.environ["NO_COLOR"] = setting
        logger.error("bad")
        shown.append("\x1b[31mERROR\x1b[0m" in stream.getvalue())
    assert shown == [True, False, False]


def test_program_without_a_console_logs_to_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = MMLogger.get_instance("run", log_file=tmp_path / "tmp.log")
    monkeypatch.setattr(sys, "stdout", None)
    logger.info("hello")
    assert (tmp_path / "tmp" / "tmp.log").read_text().endswith(" - hello\n")
    assert capsys.readouterr().err == ""


def test_logger_writes_the_records_of_the_packages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MMLogger.get_instance("run", log_file=tmp_path / "tmp.log")
    logging.getLogger("engine.optim").info("from a library")
    logging.getLogger("engine.optim").debug("not shown")
    for text in (capsys.readouterr().out, (tmp_path / "tmp" / "tmp.log").read_text()):
        assert re.fullmatch(f"{STAMP} - engine - INFO - from a library\n", text)


def test_records_of_the_packages_go_to_the_logger_created_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = MMLogger.get_instance("first")
    MMLogger.get_instance("second", log_level="DEBUG")
    logging.getLogger("engine.optim").debug("once")
    first.info("still works")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ", 2)[2] for line in lines] == ["DEBUG - once", "INFO - still works"]


def test_records_of_the_packages_go_to_the_previous_logger_after_close(
    capsys: pytest.CaptureFixture[str],
) -> None:
    MMLogger.get_instance("first", log_level="DEBUG")
    MMLogger("second").close()
    logging.getLogger("engine.optim").debug("once")
    assert capsys.readouterr().out.count("once") == 1


def test_records_of_the_packages_reach_handlers_added_later(tmp_path: Path) -> None:
    logger = MMLogger.get_instance("run")
    handler = logging.FileHandler(tmp_path / "later.log")
    logger.addHandler(handler)
    logging.getLogger("engine.optim").info("later")
    assert (tmp_path / "later.log").read_text() == "later\n"


def test_logger_ignores_the_settings_of_other_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    other = logging.StreamHandler(sys.stdout)
    logging.getLogger().addHandler(other)
    try:
        MMLogger.get_instance("engine").info("mine")
        logging.getLogger("engine.optim").info("library")
    finally:
        logging.getLogger().removeHandler(other)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_set_level_takes_effect_immediately(capsys: pytest.CaptureFixture[str]) -> None:
    logger = MMLogger.get_instance("engine", log_level="WARNING")
    logger.info("no")
    logger.setLevel("INFO")
    logger.info("yes")
    logging.getLogger("engine.optim").info("library")
    logger.setLevel(logging.ERROR)
    logger.info("no")
    assert [line.split(" - ")[-1] for line in capsys.readouterr().out.splitlines()] == [
        "yes",
        "library",
    ]


def test_set_level_does_not_change_other_loggers(capsys: pytest.CaptureFixture[str]) -> None:
    first = MMLogger.get_instance("first", log_level="WARNING")
    second = MMLogger.get_instance("second", log_level="INFO")
    first.setLevel("ERROR")
    second.info("shown")
    logging.getLogger("engine.optim").info("shown, too")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_logging_disable_takes_effect_immediately(capsys: pytest.CaptureFixture[str]) -> None:
    logger = MMLogger.get_instance("engine")
    logger.info("first")
    try:
        logging.disable(logging.INFO)
        logger.info("no")
    finally:
        logging.disable(logging.NOTSET)
    logger.info("last")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[-1] for line in lines] == ["first", "last"]


def test_warning_with_wrong_arguments_does_not_raise(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = MMLogger.get_instance("engine")
    logger.warning("%d samples", "many")
    logger.warning("next")
    captured = capsys.readouterr()
    assert captured.out.endswith(" - next\n")
    assert "--- Logging error ---" in captured.err  # as logging itself does


def test_unknown_level_or_mode_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no level 'LOUD'; there are CRITICAL, .*INFO"):
        MMLogger.get_instance("engine", log_level="LOUD")
    with pytest.raises(ValueError, match=r"file_mode must be .*, got 'r'"):
        MMLogger.get_instance("engine", log_file=tmp_path / "a.log", file_mode="r")
    assert not MMLogger.check_instance_created("engine")
    assert not (tmp_path / "a").exists()
    with pytest.raises(ValueError, match="there is no level 'LOUD'"):
        MMLogger.get_instance("engine").setLevel("LOUD")


def test_repeated_warning_is_written_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = MMLogger.get_instance("run", log_file=tmp_path / "tmp.log")
    for number in range(3):
        logger.warning("careful")
        logger.warning("careful %d", number)
        logger.info("every time")
    lines = [line.split(" - ")[-1] for line in capsys.readouterr().out.splitlines()]
    assert sorted(lines) == sorted(
        ["careful", "careful 0", "careful 1", "careful 2", *["every time"] * 3]
    )
    assert (tmp_path / "tmp" / "tmp.log").read_text().count("careful\n") == 1


def test_logger_without_handlers_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    logger = MMLogger("bare")
    logger.close()
    logger.error("nobody hears")
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_get_current_instance_creates_a_logger_if_there_is_none() -> None:
    logger = MMLogger.get_current_instance()
    assert (logger.instance_name, logger.name) == ("engine", "engine")
    assert MMLogger.get_instance("other") is MMLogger.get_current_instance()


def test_closed_logger_is_freed_with_its_file(tmp_path: Path) -> None:
    logger = MMLogger.get_instance("run", log_file=tmp_path / "tmp.log")
    tree = logging.getLogger("engine")
    gone, stream = weakref.ref(logger), weakref.ref(logger.handlers[1])
    logger.close()
    assert not MMLogger.check_instance_created("run")
    assert (tree.handlers, tree.level, tree.propagate) == ([], logging.NOTSET, True)
    del logger
    gc.collect()
    assert stream() is None
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"]
)
def test_copy_of_an_object_with_a_logger_shares_the_logger(duplicate: Any) -> None:
    logger = MMLogger.get_instance("run")
    assert duplicate({"logger": logger})["logger"] is logger


def test_logger_writes_whole_lines_from_several_threads(tmp_path: Path) -> None:
    logger = MMLogger.get_instance("run", log_file=tmp_path / "tmp.log")

    def work(number: int) -> None:
        for step in range(100):
            logger.info("%d %d %s", number, step, "x" * 200)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    lines = (tmp_path / "tmp" / "tmp.log").read_text().splitlines()
    assert len(lines) == 400
    assert all(re.fullmatch(rf"{STAMP} - engine - INFO - \d \d+ x{{200}}", line) for line in lines)


def _log_as_rank(rank: int, file: Path, level: str, distributed: bool) -> None:
    """Log three lines as a process that a launcher started with this rank."""
    os.environ["RANK"] = str(rank)  # the guard around each test restores the environment
    logger = MMLogger("run", log_file=file, log_level=level, distributed=distributed)
    logger.info("hello")
    logging.getLogger("engine.optim").error("from a library")
    print_log("and this", logger=logger, level=logging.ERROR)
    logger.close()


@pytest.mark.parametrize(
    ("level", "distributed", "files"),
    [
        ("INFO", False, ["tmp.log"]),
        ("INFO", True, ["tmp.log", "tmp_rank1.log"]),
        ("DEBUG", False, ["tmp.log", "tmp_rank1.log"]),
    ],
)
def test_ranks_write_errors_to_the_console_and_files_if_distributed(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    level: str,
    distributed: bool,
    files: list[str],
) -> None:
    shown = []
    for rank in (0, 1):
        _log_as_rank(rank, tmp_path / "tmp.log", level, distributed)
        shown.append([line.split(" - ")[2] for line in capsys.readouterr().out.splitlines()])

    assert sorted(os.listdir(tmp_path / "tmp")) == files
    assert shown == [["INFO", "ERROR", "ERROR"], ["ERROR", "ERROR"]]
    for file in files:
        assert len((tmp_path / "tmp" / file).read_text().splitlines()) == 3


def test_print_log_prints_without_a_logger(capsys: pytest.CaptureFixture[str]) -> None:
    print_log("hello")
    print_log(3, logger="silent")
    assert capsys.readouterr().out == "hello\n"


@pytest.mark.parametrize("target", ["current", "task", "object", "standard"])
def test_print_log_writes_to_a_logger(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    logger = MMLogger.get_instance("task")
    given: Any = {"object": logger, "standard": logging.getLogger("engine.x")}.get(target, target)
    print_log("hello", logger=given, level=logging.ERROR)
    line = capsys.readouterr().out
    assert f"{__file__} - test_print_log_writes_to_a_logger - " in line
    assert line.endswith(" - hello\n")


def test_print_log_to_an_unknown_logger_raises() -> None:
    with pytest.raises(ValueError, match="there is no MMLogger named 'nobody'"):
        print_log("hello", logger="nobody")
    with pytest.raises(
        TypeError, match=r"logger must be a logging\.Logger, a string or None, got int"
    ):
        print_log("hello", logger=3)  # type: ignore[arg-type]  # the mistake under test


def test_records_of_the_packages_go_to_the_logger_of_the_block() -> None:
    verbose = MMLogger.get_instance("verbose", log_level="DEBUG")
    MMLogger.get_instance("quiet", log_level="WARNING")
    library = logging.getLogger("engine.optim")
    lines: list[str] = []
    verbose.addHandler(_Collect(lines, "verbose"))
    with verbose.as_current():
        library.debug("first")
        thread = threading.Thread(target=lambda: library.info("too low for quiet"))
        thread.start()
        thread.join(10)
        print_log("second", "current")
    library.info("outside")
    assert lines == ["verbose first", "verbose second"]
    assert logging.getLogger("engine").level == logging.WARNING


def test_records_of_the_packages_go_to_the_leader_after_close_in_a_block(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = MMLogger.get_instance("run")
    MMLogger.get_instance("other")
    with logger.as_current():
        logger.close()
        logging.getLogger("engine.optim").info("not lost")
    assert capsys.readouterr().out.count("not lost") == 1


class _Collect(logging.Handler):
    def __init__(self, lines: list[str], prefix: str) -> None:
        super().__init__()
        self._lines, self._prefix = lines, prefix

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(f"{self._prefix} {record.getMessage()}")


def test_lines_have_the_time_of_their_record() -> None:
    handler = MMLogger("clock").handlers[0]
    record = logging.LogRecord("engine", logging.INFO, "train.py", 1, "step", None, None)
    times = []
    for second in (0, 0.9, 1, 86_400, 0):
        record.created = 1_000_000_000 + second
        times.append(handler.format(record).split(" - ")[0])
    clock = "%Y/%m/%d %H:%M:%S"
    epochs = [time.mktime(time.strptime(text, clock)) - 1_000_000_000 for text in times]
    assert epochs == [0, 0, 1, 86_400, 0]
