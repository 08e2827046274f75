"""The average running time of a function or block, accelerator work included."""

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
    """Measures a function (as a decorator) or a block (as a context manager) and tells the average.

    Counters with the same tag count together, so that a block in a loop may make its counter anew.

    Args:
        log_interval: Tell every so many runs.
        warmup_interval: The first run that counts; those before it are left out of the average.
        with_sync: Wait for the accelerator before reading the clock.
        tag: What to call it; a decorated function's name by default.
        logger: Where to tell, at level INFO; None for the standard output.

    Raises:
        ValueError: An interval is below 1.

    Example:
        >>> with TimeCounter(tag="add"):
        ...     total = sum(range(1000))
        [add]-time per run averaged in the past 1 runs: ... ms
    """

    _runs: ClassVar[dict[str, list[float]]] = {}  # for each tag: runs so far, seconds that count

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
                raise ValueError(f"{name}={value} must be at least 1")
        self.log_interval = log_interval
        self.warmup_interval = warmup_interval
        self.with_sync = with_sync
        self.tag = tag
        self.logger = logger
        self._own = [0.0, 0.0] if tag is None else self._runs.setdefault(tag, [0.0, 0.0])
        self._began: list[float] = []

    def __call__(self, fn: Callable[P, T]) -> Callable[P, T]:
        """Make a function that is measured at each call."""
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
            raise ValueError("a TimeCounter around a block needs a tag: TimeCounter(tag='name')")
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
        """Count one run, and tell the average when it is time.

        Args:
            elapsed: How long the run took, in seconds.
        """
        self._own[0] += 1
        runs = int(self._own[0])
        if runs < self.warmup_interval:
            return
        self._own[1] += elapsed
        if runs % self.log_interval == 0:
            counted = runs - self.warmup_interval + 1
            self._tell(
                f"[{self.tag}]-time per run averaged in the past {counted} runs: "
                f"{1000 * self._own[1] / counted:.1f} ms"
            )

    def _tell(self, line: str) -> None:
        if self.logger is not None:
            self.logger.info(line)
        else:
            sys.stdout.write(f"{line}\n")

    def _now(self) -> float:
        if self.with_sync and torch.accelerator.is_available():
            torch.accelerator.synchronize()
        return time.perf_counter()
