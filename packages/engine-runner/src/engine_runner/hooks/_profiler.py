"""Profile some epochs or iterations of a run."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch.profiler import ProfilerAction, ProfilerActivity, profile
from torch.profiler import schedule as torch_schedule

from engine_dist import get_rank
from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._integer import integer
from engine_runner._loaders import length_of
from engine_runner._protocols import Run
from engine_runner._types import Batch, Metrics, Outputs
from engine_runner.hooks._trace_labels import trace_labels
from engine_runner.hooks._trace_output import TraceOutput
from engine_utils import call_mistakes

Mode = Literal["train", "val", "test"]

_RECORDS = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


@HOOKS.register_module()
class ProfilerHook(Hook):
    """Profile the first epochs or iterations of a run with `torch.profiler`.

    A training is profiled from its first iteration in this process, so a resumed one, too. A run
    that only validates or tests is profiled in the same way; there an epoch is a pass over the
    data. In the trace, labels name the steps, the modules of the model, backward, optimizer step,
    hooks and data loading. Every rank writes its own files. If the run ends before
    ``profile_times``, what was recorded so far is written. Outside of the profiled part the hook
    costs nothing.

    Args:
        by_epoch: Count ``profile_times`` in epochs, otherwise in iterations. The trace of a long
            epoch is large: use iterations, or a ``schedule``.
        profile_times: The number of epochs or iterations to profile.
        activity_with_cpu: Record the CPU.
        activity_with_cuda: Record the CUDA device.
        schedule: Arguments of `torch.profiler.schedule`, counted in iterations: record some
            iterations and skip others.
        on_trace_ready: What gets a trace when it is ready: a function of the profiler,
            ``dict(type="log_trace")`` for a table in the log, with the arguments of
            `torch.autograd.profiler_util.EventList.table`, or ``dict(type="tb_trace")`` for a file
            for TensorBoard, in ``dir_name``, by default ``tf_tracing_logs`` in the folder of the
            run. Without it and without ``json_trace_path`` the table is logged.
        record_shapes: Record the shapes of inputs.
        profile_memory: Record allocations.
        with_stack: Record file and line of each operator's call.
        with_flops: Estimate the FLOPs of operators.
        json_trace_path: Where to write the trace in Chrome's JSON format, on any storage of
            engine-fileio. With several ranks, ``_rank0`` and so on is added to the name. Of
            several traces of a schedule, the second one has ``_2`` added.

    Raises:
        ValueError: Nothing is to be recorded, a number is not positive, ``schedule`` or
            ``on_trace_ready`` is wrong; in the run: ``profile_times`` exceeds its length, or
            ``schedule`` records nothing within ``profile_times``.
        TypeError: ``on_trace_ready`` is neither a callable nor a mapping.

    Example:
        >>> ProfilerHook(by_epoch=False, profile_times=5,
        ...              schedule=dict(wait=1, warmup=4, active=2))
        Traceback (most recent call last):
        ...
        ValueError: schedule must record within profile_times=5 iterations, got 5 iterations of ...
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        *,
        by_epoch: bool = True,
        profile_times: int = 1,
        activity_with_cpu: bool = True,
        activity_with_cuda: bool = False,
        schedule: Mapping[str, Any] | None = None,
        on_trace_ready: Callable[[profile], Any] | Mapping[str, Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        json_trace_path: str | Path | None = None,
    ) -> None:
        if not (activity_with_cpu or activity_with_cuda):
            raise ValueError(
                "activity_with_cpu or activity_with_cuda must be true, otherwise there is nothing "
                "to record"
            )
        self.by_epoch = by_epoch
        self.profile_times = integer("profile_times", profile_times, at_least=1)
        self.activity_with_cpu = activity_with_cpu
        self.activity_with_cuda = activity_with_cuda
        self.schedule = _checked_schedule(schedule)
        self.options: dict[str, Any] = {
            "record_shapes": record_shapes,
            "profile_memory": profile_memory,
            "with_stack": with_stack,
            "with_flops": with_flops,
        }
        self.on_trace_ready = on_trace_ready
        self.json_trace_path = None if json_trace_path is None else str(json_trace_path)
        self._output = TraceOutput(on_trace_ready, self.json_trace_path)
        if not by_epoch:
            self._check_schedule(self.profile_times)
        self._recording = ExitStack()
        self._profiler: profile | None = None
        self._mode: Mode | None = None  # of the loop that is profiled
        self._iterations = self._epochs = 0

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Stop the profiler however the run ends."""
        try:
            yield
        finally:
            self._recording.close()

    def before_run(self, runner: Run) -> None:
        """Prepare to profile the loop that begins first."""
        self._mode, self._iterations, self._epochs = None, 0, 0
        self._output = TraceOutput(self.on_trace_ready, self.json_trace_path)
        if self.activity_with_cuda and not torch.cuda.is_available():
            runner.logger.warning(
                "activity_with_cuda=True of ProfilerHook never acts: there is no CUDA device"
            )

    def before_train(self, runner: Run) -> None:
        """Start the profiler.

        Raises:
            ValueError: ``profile_times`` exceeds the length of the training.
        """
        most, unit = runner.max_iters, "max_iters"
        done = runner.iter
        if self.by_epoch:
            most, unit, done = runner.max_epochs, "max_epochs", runner.epoch
        if self.profile_times > most:
            raise ValueError(
                f"profile_times must not be greater than {unit}={most}, got {self.profile_times}; "
                "lower profile_times"
            )
        if self.profile_times > most - done > 0:
            runner.logger.warning(
                f"profile_times={self.profile_times} of ProfilerHook exceeds what is left of the "
                f"resumed training, from {done} to {most}; that much is profiled"
            )
        self._start(runner, "train", runner.train_dataloader)

    def before_val(self, runner: Run) -> None:
        """Start the profiler in a run that only validates."""
        self._start(runner, "val", runner.val_dataloader)

    def before_test(self, runner: Run) -> None:
        """Start the profiler in a run that only tests."""
        self._start(runner, "test", runner.test_dataloader)

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Go to the next step of the schedule, or finish."""
        if self._profiler is not None:
            self._count_iteration("train", self.end_of_epoch(runner.train_dataloader, batch_idx))

    def after_val_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Go to the next step of the schedule, or finish."""
        if self._profiler is not None:
            self._count_iteration("val", self.end_of_epoch(runner.val_dataloader, batch_idx))

    def after_test_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Go to the next step of the schedule, or finish."""
        if self._profiler is not None:
            self._count_iteration("test", self.end_of_epoch(runner.test_dataloader, batch_idx))

    def after_train_epoch(self, runner: Run) -> None:
        """Finish after the last epoch to profile."""
        self._count_epoch("train")

    def after_val_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Finish after the pass of a run that only validates."""
        self._count_epoch("val")

    def after_test_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Finish after the pass of a run that only tests."""
        self._count_epoch("test")

    def after_run(self, runner: Run) -> None:
        """Write what was recorded of a run that ended before ``profile_times``."""
        self._recording.close()

    def _start(self, runner: Run, mode: Mode, dataloader: Any) -> None:
        if self._mode is not None:  # a validation of a training
            return
        self._mode = mode
        length = length_of(dataloader)
        if self.by_epoch and length is not None and mode != "train":
            self._check_schedule(length)
        elif self.by_epoch and length is not None:
            self._check_schedule(self.profile_times * length)
        activities = [ProfilerActivity.CPU] if self.activity_with_cpu else []
        if self.activity_with_cuda and torch.cuda.is_available():
            activities.append(ProfilerActivity.CUDA)
        rank = get_rank() if runner.world_size > 1 else None
        profiler = profile(
            activities=activities,
            # With a schedule of any kind torch labels each step.
            schedule=torch_schedule(**self.schedule) if self.schedule else _every_step,
            on_trace_ready=lambda one: self._output.write(one, work_dir=runner.work_dir, rank=rank),
            **self.options,
        )
        self._recording.callback(self._stop)
        self._recording.enter_context(trace_labels(runner, trains=mode == "train"))
        with _own_trace_each_cycle():
            profiler.start()
        self._profiler = profiler  # to be stopped; one that failed to start raises when it is

    def _stop(self) -> None:
        profiler, self._profiler = self._profiler, None
        if profiler is not None:
            profiler.stop()

    def _step(self) -> None:
        # Stopping a profiler after an error in its step ends the process with a segmentation fault.
        profiler, self._profiler = self._profiler, None
        if profiler is not None:
            with _own_trace_each_cycle():
                profiler.step()
            self._profiler = profiler

    def _count_iteration(self, mode: Mode, ends_epoch: bool) -> None:
        if mode != self._mode or self._profiler is None:
            return
        self._iterations += 1
        if not self.by_epoch and self._iterations == self.profile_times:
            self._recording.close()
        # A step after the last iteration would begin a trace without any.
        elif not (self.by_epoch and ends_epoch and self._epochs + 1 == self.profile_times):
            self._step()

    def _count_epoch(self, mode: Mode) -> None:
        if mode == self._mode and self._profiler is not None:
            self._epochs += 1
            if self.by_epoch and self._epochs == self.profile_times:
                self._recording.close()

    def _check_schedule(self, iterations: int) -> None:
        """Raise if the schedule records nothing within a number of iterations."""
        if not self.schedule:
            return
        before = sum(self.schedule.get(key, 0) for key in ("skip_first", "wait", "warmup"))
        action = torch_schedule(**self.schedule)
        if not any(action(step) in _RECORDS for step in range(min(iterations, before + 1))):
            raise ValueError(
                f"schedule must record within profile_times={self.profile_times} "
                f"{'epochs' if self.by_epoch else 'iterations'}, got {before} iterations of "
                "skip_first, wait and warmup; raise profile_times"
            )


@contextmanager
def _own_trace_each_cycle() -> Iterator[None]:
    """Leave out torch's warning that a cycle's events end with it: each has a trace here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*clears events at the end of each cycle")
        yield


def _every_step(step: int) -> ProfilerAction:
    return ProfilerAction.RECORD


def _checked_schedule(schedule: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the arguments of `torch.profiler.schedule`, if torch takes them."""
    arguments = dict(schedule or {})
    if schedule is None:
        return arguments
    for mistake in call_mistakes(torch_schedule, arguments):
        raise ValueError(f"schedule: {mistake.message}")
    try:
        torch_schedule(**arguments)
    except AssertionError as error:  # numbers out of range
        raise ValueError(f"schedule must be one of torch.profiler.schedule: {error}") from error
    return arguments
