"""Profile some iterations of a training on an Ascend NPU."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from engine_dist import get_rank
from engine_registry import HOOKS
from engine_runner._errors import SettingsError
from engine_runner._hook import Hook
from engine_runner._integer import integer
from engine_runner._protocols import Run
from engine_runner._types import Batch, Outputs
from engine_utils import import_extra

_TO_STD_OUT = "GE_PROFILING_TO_STD_OUT"  # read by CANN when its profiler starts


@HOOKS.register_module()
class NPUProfilerHook(Hook):
    """Profile some iterations of a training on an Ascend NPU, with the profiler of ``torch_npu``.

    Every rank writes its own folder ``rank<n>`` below ``result_path``, which CANN's tools read.

    Args:
        begin: The first iteration to profile, counted from 0.
        end: The iteration to end before.
        result_path: The folder of the results; a relative one is in the folder of the run.
        exit_after_profiling: End the process after the profiled iterations, with exit code 0.
        use_e2e_profiler: Profile from end to end, with the communication and the host.
        ge_profiling_to_std_out: Let CANN write the data of its graph engine.

    Raises:
        ValueError: ``begin`` or ``end`` is not an integer >= 0, or ``begin`` is not before ``end``.
        MissingExtraError: ``torch_npu`` is not installed; in the run.
        SettingsError: There is no NPU; in the run.

    Example:
        >>> NPUProfilerHook(begin=10, end=5)
        Traceback (most recent call last):
        ValueError: end must be greater than begin=10, got 5
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        *,
        begin: int = 0,
        end: int = 1,
        result_path: str | Path = "cann_profiling",
        exit_after_profiling: bool = True,
        use_e2e_profiler: bool = False,
        ge_profiling_to_std_out: bool = False,
    ) -> None:
        self.begin = integer("begin", begin, at_least=0)
        self.end = integer("end", end, at_least=0)
        if self.end <= self.begin:
            raise ValueError(f"end must be greater than begin={self.begin}, got {self.end}")
        self.result_path = str(result_path)
        self.exit_after_profiling = exit_after_profiling
        self.use_e2e_profiler = use_e2e_profiler
        self.ge_profiling_to_std_out = ge_profiling_to_std_out
        self._profile: Any = None

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Stop the profiler however the run ends."""
        try:
            yield
        finally:
            self._stop()

    def before_run(self, runner: Run) -> None:
        """Check that there is an NPU, and pass the setting of the graph engine to CANN."""
        if not _torch_npu().npu.is_available():
            raise SettingsError(
                "NPUProfilerHook must have an Ascend NPU, got none; drop the hook, or use "
                "ProfilerHook on other devices"
            )
        if self.ge_profiling_to_std_out:
            os.environ[_TO_STD_OUT] = "1"

    def before_train(self, runner: Run) -> None:
        """Check that the training reaches the iterations to profile.

        Raises:
            ValueError: It ends before.
        """
        if self.end > runner.max_iters:
            raise ValueError(
                f"end must not be greater than max_iters={runner.max_iters}, got {self.end}"
            )

    def before_train_iter(self, runner: Run, batch_idx: int, data_batch: Batch = None) -> None:
        """Start the profiler at the first iteration."""
        if runner.iter != self.begin:
            return
        folder = Path(runner.work_dir) / self.result_path / f"rank{get_rank()}"
        folder.mkdir(parents=True, exist_ok=True)
        self._profile = _torch_npu().npu.profile(
            profiler_result_path=str(folder), use_e2e_profiler=self.use_e2e_profiler
        )
        self._profile.__enter__()

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Stop the profiler after the last iteration."""
        if runner.iter + 1 != self.end or self._profile is None:
            return
        self._stop()
        if self.exit_after_profiling:
            runner.logger.info("The profiled iterations are done: NPUProfilerHook ends the process")
            raise SystemExit(0)

    def _stop(self) -> None:
        profile, self._profile = self._profile, None
        if profile is not None:
            profile.__exit__(None, None, None)


def _torch_npu() -> ModuleType:
    return import_extra("torch_npu", install="torch_npu", purpose="NPUProfilerHook")
