"""Log what the model consists of when a training starts."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from engine_model import is_model_wrapper, is_sharded
from engine_model.analysis import can_observe, observe_flops, short_number, summary_table
from engine_registry import HOOKS
from engine_runner._class_name import class_name
from engine_runner._hook import Hook
from engine_runner._loaders import batching_part
from engine_runner._protocols import Run


@HOOKS.register_module()
class ModelSummaryHook(Hook):
    """Log the size of the model and the operations of its forward pass.

    `Runner` registers it by default; ``default_hooks=dict(model_summary=None)`` leaves it out. One
    line has the class, the parameters and the bytes of parameters and buffers. A second one has the
    floating-point operations of the first forward pass of the training, where a multiplication with
    an addition is two. They are counted while that pass runs, so nothing is computed twice, and
    random state and numbers of the training are those without the hook. The table by module is in
    the log file alone.

    Operations are not counted for compiled and sharded models, nor for a model whose ``train_step``
    does not call the model itself.

    Args:
        max_depth: The depth of the table: 0 shows the model alone.
        flops: Whether to count operations.

    Raises:
        ValueError: ``max_depth`` is negative.

    Example:
        >>> ModelSummaryHook(max_depth=-1)
        Traceback (most recent call last):
        ...
        ValueError: max_depth must be an integer >= 0, got -1
    """

    priority = "BELOW_NORMAL"  # after the lines of `LoggerHook` about the device and the data

    def __init__(self, max_depth: int = 2, flops: bool = True) -> None:
        if not isinstance(max_depth, int) or max_depth < 0:
            raise ValueError(f"max_depth must be an integer >= 0, got {max_depth!r}")
        self.max_depth = max_depth
        self.flops = flops
        self._starts_at: int | None = None  # the iteration whose forward pass is counted
        self._stop: Callable[[], None] = _do_nothing

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Stop counting when the run ends, also by an error before the first forward pass."""
        try:
            yield
        finally:
            self._stop()

    def before_train(self, runner: Run) -> None:
        """Log the size of the model."""
        model = _without_wrapper(runner.model)
        runner.logger.info(_size(model))
        self._starts_at = runner.iter
        # Operators of sharded tensors stand for the whole, and communicate.
        sharded = any(map(is_sharded, model.parameters()))
        if sharded or not (self.flops and runner.is_main and can_observe(model)):
            self._starts_at = None
            self._log_table(runner, model, None)

    def before_train_epoch(self, runner: Run) -> None:
        """Count the next forward pass if it is the first that trains."""
        self._stop()
        if runner.iter != self._starts_at:
            return
        model = _without_wrapper(runner.model)

        def done(counts: Counter[str]) -> None:
            self._starts_at = None
            runner.logger.info(_operations(counts[""], _samples(runner.train_dataloader)))
            self._log_table(runner, model, counts)

        self._stop = observe_flops(model, done)

    def before_val(self, runner: Run) -> None:
        """Do not count the forward passes of a validation."""
        self._stop()

    def after_val(self, runner: Run) -> None:
        """Count the next forward pass, if the validation came before the first iteration."""
        if runner.iter == self._starts_at:
            self.before_train_epoch(runner)

    def _log_table(self, runner: Run, model: nn.Module, counts: Counter[str] | None) -> None:
        table = summary_table(model, self.max_depth, counts)
        heading = "Model by module" if counts is None else "Model by module, FLOPs per batch"
        runner.logger.info(f"{heading}:\n{table}", extra={"file_only": True})


def _do_nothing() -> None:
    return


def _without_wrapper(model: Any) -> nn.Module:
    inner = getattr(model, "module", None)
    found: nn.Module = inner if is_model_wrapper(model) and inner is not None else model
    return found


def _size(model: nn.Module) -> str:
    params = list(model.parameters())
    count = sum(param.numel() for param in params)
    trained = sum(param.numel() for param in params if param.requires_grad)
    size = sum(tensor.numel() * tensor.element_size() for tensor in [*params, *model.buffers()])
    return (
        f"Model {class_name(model)}: {short_number(count)} parameters, "
        f"{short_number(trained)} of them trained, {short_number(size)}B"
    )


def _samples(dataloader: Any) -> int | None:
    """Return the samples per batch of a loader, or ``None`` if it is unknown."""
    size = getattr(batching_part(dataloader), "batch_size", None)
    return size if isinstance(size, int) and size > 0 else None


def _operations(count: int, samples: int | None) -> str:
    counted = f"{short_number(count)} FLOPs per batch"
    if samples is not None:
        per_sample = short_number(round(count / samples))
        counted = f"{per_sample} FLOPs per sample, {samples} samples per batch"
    return f"Forward pass: {counted}; a multiply-add is two FLOPs"
