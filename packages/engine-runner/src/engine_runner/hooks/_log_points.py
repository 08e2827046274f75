"""Find the iterations at which a run logs."""

from collections.abc import Callable
from typing import Any

from engine_runner._protocols import Run

LogsWithin = Callable[[int, int], bool]


def log_points(runner: Run) -> LogsWithin | None:
    """Return a function of the index of a batch and a number of iterations, or None.

    It returns whether one of these iterations, from that of the batch on, is logged. Hooks use it
    to compute only what is logged.

    Args:
        runner: The run. The hooks that log, such as `LoggerHook`, have a method ``logs_within``. A
            run without any logs nowhere: None.
    """
    loggers: list[Any] = [hook for hook in runner.hooks if hasattr(hook, "logs_within")]
    if not loggers:
        return None
    if len(loggers) == 1:
        only: LogsWithin = loggers[0].logs_within
        return only
    return lambda batch_idx, count: any(hook.logs_within(batch_idx, count) for hook in loggers)
