"""A log whose file or console cannot be written neither raises nor prints tracebacks."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, sys
from engine_logging import MMLogger, print_log
logger = MMLogger.get_instance("x", log_file="run.log")
for number in range(2000):
    logger.info("line %d", number)
print_log("printed") if sys.stdout is None else None
logger.close()
os._exit(0)
"""


@pytest.mark.parametrize(
    ("redirection", "lines"), [(">&-", 0), ("| head -1", 1), (">/dev/full", 0)]
)
def test_lost_console_leaves_the_file_whole(redirection: str, lines: int, tmp_path: Path) -> None:
    command = f'"{sys.executable}" -c "$SCRIPT" {redirection}'

    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={"SCRIPT": SCRIPT, "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == lines
    assert len(ended.stderr.splitlines()) <= 1
    assert len((tmp_path / "run/run.log").read_text().splitlines()) == 2000


def test_full_disk_of_the_log_is_reported_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine_logging import MMLogger

    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.log").symlink_to("/dev/full")
    logger = MMLogger.get_instance("full", log_file=tmp_path / "run.log")

    for number in range(100):
        logger.info("line %d", number)
    logger.close()

    captured = capsys.readouterr()
    assert captured.out.count("line ") == 100
    (line,) = captured.err.splitlines()
    assert "cannot be written (No space left on device)" in line
