"""Write a page about one run or several: a single file of HTML that needs no network."""

from engine_runner.report._config import RunConfig, differences, read_config
from engine_runner.report._find import RunFolder, find_runs
from engine_runner.report._run import RunData, read_run
from engine_runner.report._write import Written, write_report

__all__ = [
    "RunConfig",
    "RunData",
    "RunFolder",
    "Written",
    "differences",
    "find_runs",
    "read_config",
    "read_run",
    "write_report",
]
