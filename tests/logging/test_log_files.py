"""The files of a logger: where they are, their kinds, and records for the file alone."""

import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest

from engine_logging import MMLogger

STAMP = r"\d{4}/\d{2}/\d{2} \d{2}:\d{2}:\d{2}"


def test_file_is_in_a_folder_of_its_name(tmp_path: Path) -> None:
    logger = MMLogger.get_instance("run", log_file=str(tmp_path / "tmp.log"))
    logger.warning("åß")
    assert logger.log_files == [tmp_path / "tmp" / "tmp.log"]
    text = (tmp_path / "tmp" / "tmp.log").read_text(encoding="utf-8")
    assert re.fullmatch(f"{STAMP} - engine - WARNING - åß\n", text)


def test_file_in_a_folder_of_its_name_adds_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "20260101_120000" / "20260101_120000.log"
    assert MMLogger.get_instance("run", log_file=path).log_files == [path]


@pytest.mark.parametrize(("mode", "lines"), [("w", 1), ("a", 2)])
def test_file_mode_overwrites_or_appends(tmp_path: Path, mode: Any, lines: int) -> None:
    for name in ("first", "second"):
        logger = MMLogger(name, log_file=tmp_path / "tmp.log", file_mode=mode)
        logger.info(name)
        logger.close()
    assert len((tmp_path / "tmp" / "tmp.log").read_text().splitlines()) == lines


def test_log_file_is_the_path_of_the_file(tmp_path: Path) -> None:
    logger = MMLogger.get_instance("run", log_file=tmp_path / "tmp.log")
    assert logger.log_file == str(tmp_path / "tmp" / "tmp.log")
    assert MMLogger.get_instance("console").log_file is None


REPORT = {"file_only": True}


@pytest.mark.parametrize(
    ("level", "has_file", "shown"),
    [("INFO", True, False), ("DEBUG", True, True), ("INFO", False, True)],
    ids=["file-alone", "debug-shows-it", "without-a-file"],
)
def test_record_for_the_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: str, has_file: bool, shown: bool
) -> None:
    file = tmp_path / "t.log" if has_file else None
    logger = MMLogger.get_instance("run", log_file=file, log_level=level)
    logger.info("own", extra=REPORT)
    logging.getLogger("engine.model").info("of a package", extra=REPORT)
    logging.getLogger("engine.model").debug("detail", extra=REPORT)

    printed = capsys.readouterr().out
    assert (" own\n" in printed, " of a package\n" in printed) == (shown, shown)
    assert (" detail\n" in printed) == (level == "DEBUG")
    if has_file:
        assert " of a package\n" in (tmp_path / "t" / "t.log").read_text()


def test_record_for_the_file_alone_below_the_level_is_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = MMLogger.get_instance("run", log_file=tmp_path / "t.log", log_level="WARNING")
    logger.info("neither", extra=REPORT)
    logger.error("in the file", extra=REPORT)
    assert capsys.readouterr().out == ""
    assert len((tmp_path / "t" / "t.log").read_text().splitlines()) == 1


@pytest.mark.parametrize("rank", [0, 1])
def test_other_ranks_neither_show_nor_write_reports(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    rank: int,
) -> None:
    monkeypatch.setenv("RANK", str(rank))
    logger = MMLogger.get_instance("run", log_file=tmp_path / "t.log")
    logger.info("report", extra=REPORT)
    logger.info("line")
    assert len(capsys.readouterr().out.splitlines()) == 1 - rank
    assert (tmp_path / "t").exists() == (rank == 0)


def test_rotating_file_keeps_the_backups_that_are_asked_for(tmp_path: Path) -> None:
    rotating = {"type": "RotatingFileHandler", "maxBytes": 200, "backupCount": 2}
    logger = MMLogger.get_instance("run", log_file=tmp_path / "tmp.log", file_handler_cfg=rotating)
    for number in range(20):
        logger.info("line %d", number)
    logger.close()
    assert sorted(os.listdir(tmp_path / "tmp")) == ["tmp.log", "tmp.log.1", "tmp.log.2"]
    assert " - engine - INFO - line 19\n" in (tmp_path / "tmp" / "tmp.log").read_text()


@pytest.mark.parametrize(
    "kind",
    ["TimedRotatingFileHandler", "WatchedFileHandler", logging.FileHandler],
    ids=["timed", "watched", "class"],
)
def test_kinds_of_log_files(tmp_path: Path, kind: Any) -> None:
    logger = MMLogger.get_instance(
        "run", log_file=tmp_path / "tmp.log", file_handler_cfg={"type": kind}
    )
    logger.info("hello")
    assert logger.log_file is not None
    assert Path(logger.log_file).read_text().endswith(" - engine - INFO - hello\n")


@pytest.mark.parametrize(
    ("cfg", "error", "message"),
    [
        ({"type": "RotatingFile"}, ValueError, "did you mean 'RotatingFileHandler'"),
        ({"type": logging.StreamHandler}, ValueError, "must be a subclass of logging.FileHandler"),
        ({"type": "RotatingFileHandler", "maxbytes": 1}, TypeError, "did you mean 'maxBytes'"),
        ({"filename": "x.log"}, ValueError, "must not have a filename"),
    ],
    ids=["type", "no-file", "argument", "filename"],
)
def test_wrong_kind_of_log_file_raises(
    tmp_path: Path, cfg: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        MMLogger.get_instance("run", log_file=tmp_path / "tmp.log", file_handler_cfg=cfg)


def test_kind_of_log_file_without_a_file_raises() -> None:
    with pytest.raises(ValueError, match="file_handler_cfg needs log_file"):
        MMLogger.get_instance("run", file_handler_cfg={"type": "FileHandler"})
