"""Measure the average run time of a function or block, including accelerator work."""

import functools
import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


class TimeCounter:
    """Measure a function (as a decorator) or a block (as a context manager), and log the average.

    Counters with the same tag share their sums, so that a loop may create a counter per iteration.

    Args:
        log_interval: Log after each such number of runs.
        warmup_interval: The first run that counts; earlier runs are excluded from the average.
        with_sync: Wait for the accelerator before the clock is read.
        tag: The name in the log line; by default that of the decorated function.
        logger: The logger, used at level INFO; None for the standard output.

    Raises:
        ValueError: An interval is below 1.

    Example:
        >>> with TimeCounter(tag="add"):
        ...     total = sum(range(1000))
        [add]-time per run averaged in the past 1 runs: ... ms
    """

    # Per tag: the number of runs, and the total seconds of the runs that count.
    _runs: ClassVar[dict[str, list[float]]] = {}

    def __init__(
        self,
        log_interval: int = 1,
        warmup_interval: int = 1,
        with_sync: bool = True,
        tag: str | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        for name, value in (("log_interval", log_interval), ("warmup_interval", warmup_interval)):
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        self.log_interval = log_interval
        self.warmup_interval = warmup_interval
        self.with_sync = with_sync
        self.tag = tag
        self.logger = logger
        self._own = [0.0, 0.0] if tag is None else self._runs.setdefault(tag, [0.0, 0.0])
        # A stack, because the block of a counter may enter the same counter again.
        self._began: list[float] = []

    def __call__(self, fn: Callable[P, T]) -> Callable[P, T]:
        """Return the function with a measurement around each call."""
        if self.tag is None:
            self.tag = fn.__name__

        @functools.wraps(fn)
        def measured(*args: P.args, **kwargs: P.kwargs) -> T:
            begin = self._now()
            result = fn(*args, **kwargs)
            self.print_time(self._now() - begin)
            return result

        return measured

    def __enter__(self) -> "TimeCounter":
        if self.tag is None:
            raise ValueError("a TimeCounter around a block needs a tag; write tag='name'")
        self._began.append(self._now())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        elapsed = self._now() - self._began.pop()
        if error is None:
            self.print_time(elapsed)

    def print_time(self, elapsed: int | float) -> None:
        """Count one run, and log the average every ``log_interval`` runs.

        Args:
            elapsed: The duration of the run, in seconds.
        """
        self._own[0] += 1
        runs = int(self._own[0])
        if runs < self.warmup_interval:
            return
        self._own[1] += elapsed
        if runs % self.log_interval == 0:
            counted = runs - self.warmup_interval + 1
            self._write(
                f"[{self.tag}]-time per run averaged in the past {counted} runs: "
                f"{1000 * self._own[1] / counted:.1f} ms"
            )

    def _write(self, line: str) -> None:
        if self.logger is not None:
            self.logger.info(line)
        else:
            sys.stdout.write(f"{line}\n")

    def _now(self) -> float:
        # Kernels run asynchronously: without waiting, only their launch would be measured.
        if self.with_sync and torch.accelerator.is_available():
            torch.accelerator.synchronize()
        return time.perf_counter()
