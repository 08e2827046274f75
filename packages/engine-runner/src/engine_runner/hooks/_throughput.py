"""Log the throughput of a training, and how much of the device it uses."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any

import torch
from torch.nn.modules.conv import _ConvNd

from engine_dist import all_gather
from engine_model import is_model_wrapper, runs_compiled
from engine_registry import HOOKS
from engine_runner._batch_size import samples_in
from engine_runner._hook import Hook
from engine_runner._integer import integer
from engine_runner._protocols import Run
from engine_runner._types import Batch, Outputs
from engine_runner._wrappers import wrappers_by_name
from engine_runner.hooks._device_peaks import Precision, peak_tflops
from engine_runner.hooks._log_points import LogsWithin, log_points
from engine_runner.hooks._operations import OperationCounter

_MEGABYTE = 2**20
_PRECISIONS: dict[torch.dtype, Precision] = {
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.float32: "float32",
}


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Log ``samples_per_s``, ``peak_memory``, ``tflops`` and ``mfu`` of a training.

    - ``samples_per_s``: samples per second of all ranks together, since the last line of the log.
      Validations are not counted. On an accelerator the hook waits for the device, where the run
      logs; nowhere else does it read from the device.
    - ``peak_memory``: the largest memory of tensors on an accelerator so far, in MB (2**20 bytes),
      of the rank that has most.
    - ``tflops``: the floating-point operations of forward and backward passes per second and
      device, in 10**12. The operations of one sample are ``flops_per_sample``, or that attribute
      of the model. Otherwise they are counted in the first iteration of the run: those of matrix
      multiplications, convolutions and attention, where a multiply-add is two operations;
      the recomputation of activation checkpointing counts, too. That iteration takes longer, and
      is left out of the throughput. The operations of a compiled model cannot be counted.
    - ``mfu``: model FLOPs utilization, ``tflops`` by the peak of the device in the precision of the
      training (Chowdhery et al., arXiv:2204.02311, appendix B). It is left out for a device whose
      peak is unknown.

    Args:
        batch_size: Samples per batch and rank; by default they are counted in each batch.
        count_flops: Count the operations of the first iteration, if the model and
            ``flops_per_sample`` do not state them.
        flops_per_sample: Operations of the forward and backward pass of a sample. A multiply-add is
            two, as in the peaks of devices: about three times the ``flops`` of
            `engine_model.analysis.measure_cost`, which counts the forward pass alone.
        peak_tflops: The peak of a device, in TFLOP/s; by default that of a table.

    Raises:
        ValueError: A number is not positive.

    Example:
        >>> custom_hooks = [dict(type="ThroughputHook")]  # of a config
    """

    priority = "NORMAL"

    def __init__(
        self,
        *,
        batch_size: int | None = None,
        count_flops: bool = True,
        flops_per_sample: float | None = None,
        peak_tflops: float | None = None,
    ) -> None:
        self.batch_size = None
        if batch_size is not None:
            self.batch_size = integer("batch_size", batch_size, at_least=1)
        self.count_flops = count_flops
        self.flops_per_sample = _positive("flops_per_sample", flops_per_sample)
        self.peak_tflops = _positive("peak_tflops", peak_tflops)
        self._logs_within: LogsWithin | None = None
        self._counter: OperationCounter | None = None
        self._counting = ExitStack()
        self._flops: float | None = None  # of a sample
        self._peak: float | None = None
        self._device = torch.device("cpu")
        self._samples = 0
        self._seconds = 0.0
        self._last: float | None = None  # when the clock was started; None while it stands

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Stop counting operations however the run ends."""
        try:
            yield
        finally:
            self._stop_counter()

    def before_train(self, runner: Run) -> None:
        """Find out what can be logged, and start the clock."""
        self._logs_within = log_points(runner)
        if self._logs_within is None:
            runner.logger.warning("ThroughputHook never acts: the run has no hook that logs")
        self._device = next((p.device for p in runner.model.parameters()), torch.device("cpu"))
        self._flops = self.flops_per_sample or _stated_flops(runner.model)
        self._peak = self.peak_tflops or _peak_of(runner, self._device)
        if self._flops is None and self.count_flops and self._logs_within is not None:
            self._prepare_counter(runner)
        self._samples, self._seconds, self._last = 0, 0.0, perf_counter()

    def before_train_epoch(self, runner: Run) -> None:
        """Start the clock."""
        self._last = perf_counter()

    def before_train_iter(self, runner: Run, batch_idx: int, data_batch: Batch = None) -> None:
        """Count the operations of the first iteration."""
        if self._counter is not None:
            self._counting.enter_context(self._counter)

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Count the samples; where the run logs, record the throughput."""
        if self._logs_within is None:
            return
        samples = self.batch_size or samples_in(data_batch, runner.train_dataloader)
        if samples is None:
            runner.logger.warning(
                f"ThroughputHook cannot count the samples of a {type(data_batch).__name__}; set "
                "its batch_size"
            )
            self._stop_counter()
            self._logs_within = None
            return
        if self._counter is not None:
            self._finish_counter(runner, samples)
            return
        self._samples += samples
        if self._logs_within(batch_idx, 1):
            self._record(runner)

    def after_train_epoch(self, runner: Run) -> None:
        """Stop the clock until the next epoch."""
        self._stop_clock()

    def before_val(self, runner: Run) -> None:
        """Stop the clock."""
        self._stop_clock()

    def after_val(self, runner: Run) -> None:
        """Start the clock."""
        self._last = perf_counter()

    def _stop_clock(self) -> None:
        if self._last is not None:
            self._seconds += perf_counter() - self._last
        self._last = None

    def _prepare_counter(self, runner: Run) -> None:
        if runs_compiled(runner.model):
            runner.logger.info(
                "The operations of a compiled model cannot be counted; for tflops and mfu set "
                "flops_per_sample of ThroughputHook."
            )
            return
        self._counter = OperationCounter()

    def _stop_counter(self) -> OperationCounter | None:
        """Return the counter, which counts no more."""
        counter, self._counter = self._counter, None
        self._counting.close()
        return counter

    def _finish_counter(self, runner: Run, samples: int) -> None:
        counter = self._stop_counter()
        if counter is not None and counter.skipped:
            runner.logger.warning(
                "The operations of nested tensors cannot be counted; for tflops and mfu set "
                "flops_per_sample of ThroughputHook."
            )
        elif counter is not None and counter.flops:
            self._flops = counter.flops / samples
            runner.logger.info(
                f"A sample takes {self._flops / 1e9:.4g} GFLOPs, forward and backward, as counted "
                "in the first iteration."
            )
        self._samples, self._seconds, self._last = 0, 0.0, perf_counter()

    def _record(self, runner: Run) -> None:
        if self._device.type != "cpu":
            torch.accelerator.synchronize()  # the run waits for the device here anyway
        self._stop_clock()
        samples, memory = self._of_all_ranks()
        rate = samples / self._seconds
        hub = runner.message_hub
        hub.update_scalar("train/samples_per_s", rate)
        if memory is not None:
            hub.update_scalar("train/peak_memory", memory)
        if self._flops is not None:
            tflops = rate / runner.world_size * self._flops / 1e12
            hub.update_scalar("train/tflops", tflops)
            if self._peak is not None:
                hub.update_scalar("train/mfu", tflops / self._peak)
        self._samples, self._seconds, self._last = 0, 0.0, perf_counter()

    def _of_all_ranks(self) -> tuple[float, int | None]:
        """Return the samples of all ranks, and the largest memory, or None on a CPU."""
        memory = _peak_memory(self._device)
        mine = torch.tensor([self._samples, memory or 0], dtype=torch.float64)
        ranks = torch.stack(all_gather(mine))
        return ranks[:, 0].sum().item(), None if memory is None else int(ranks[:, 1].max())


def _positive(name: str, value: float | None) -> float | None:
    if value is not None and not value > 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return value


def _inner(model: Any) -> Any:
    return model.module if is_model_wrapper(model) and hasattr(model, "module") else model


def _stated_flops(model: Any) -> float | None:
    stated = getattr(_inner(model), "flops_per_sample", None)
    return None if stated is None else _positive("flops_per_sample of the model", float(stated))


def _peak_of(runner: Run, device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    precision = _precision(runner)
    return precision and peak_tflops(torch.cuda.get_device_name(device), precision)


def _precision(runner: Run) -> Precision | None:
    """Return the precision of most matrix multiplications of a training."""
    wrappers = wrappers_by_name(runner.optim_wrapper).values()
    lowered = [dtype for one in wrappers if (dtype := getattr(one, "dtype", None)) is not None]
    weights = (param.dtype for param in runner.model.parameters() if param.is_floating_point())
    precision = _PRECISIONS.get(lowered[0] if lowered else next(weights, torch.float32))
    if precision != "float32":
        return precision
    convolves = any(isinstance(module, _ConvNd) for module in runner.model.modules())
    allowed = torch.get_float32_matmul_precision() != "highest"
    return "tf32" if allowed or (convolves and torch.backends.cudnn.allow_tf32) else "float32"


def _peak_memory(device: torch.device) -> int | None:
    """Return the peak memory of tensors in MB, or None for a device that has no such count."""
    measure = getattr(getattr(torch, device.type, None), "max_memory_allocated", None)
    return None if measure is None else int(measure(device)) // _MEGABYTE
