"""Publish the state of the run in the message hub, for code without the runner."""

from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor

from engine_optim import OptimWrapper, OptimWrapperDict
from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._idle import idle_validation
from engine_runner._loaders import metainfo_of
from engine_runner._protocols import Run
from engine_runner._types import Batch, Metrics, Outputs
from engine_runner.environment import shown_config


@HOOKS.register_module()
class RuntimeInfoHook(Hook):
    """Write epoch, iteration, learning rates, losses and metrics to the message hub.

    Components that cannot reach the runner read them there: ``epoch``, ``iter``, ``max_epochs``,
    ``max_iters``, ``cfg``, ``seed`` and ``experiment_name`` as infos, ``train/lr``,
    ``train/<loss>`` and ``val/<metric>`` as scalars, and with clipping ``train/grad_norm``, which
    several optimizers have each, such as ``train/gen.grad_norm``. Nothing is read from the device.
    ``loop_stage`` is ``"train"``, ``"val"``, ``"test"``, or None between loops.

    Attributes:
        last_loop_stage: What the run did before its latest validation.

    Example:
        >>> RuntimeInfoHook().get_triggered_stages()[:3]
        ['before_run', 'before_train', 'before_train_epoch']
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._scalar_names: dict[str, str] = {}
        self.last_loop_stage: str | None = None
        self._epoch = -1

    def before_run(self, runner: Run) -> None:
        """Record what identifies the run."""
        runner.message_hub.update_info("cfg", shown_config(runner.cfg).pretty_text)
        runner.message_hub.update_info("seed", runner.seed)
        runner.message_hub.update_info("experiment_name", runner.experiment_name)

    def before_train(self, runner: Run) -> None:
        """Record the counters, which a resumed run continues, and the dataset's meta data.

        Intervals of the validation that the training never reaches are logged as warnings.
        """
        for message in idle_validation(runner):
            runner.logger.warning(message)
        hub = runner.message_hub
        hub.update_info("loop_stage", "train")
        hub.update_info("epoch", runner.epoch)
        hub.update_info("iter", runner.iter)
        hub.update_info("max_epochs", runner.max_epochs)
        hub.update_info("max_iters", runner.max_iters)
        metainfo = metainfo_of(runner.train_dataloader)
        if metainfo is not None:
            hub.update_info("dataset_meta", metainfo, resumed=False)

    def before_train_epoch(self, runner: Run) -> None:
        """Record the epoch."""
        self._epoch = runner.epoch
        runner.message_hub.update_info("epoch", self._epoch)

    def before_train_iter(self, runner: Run, batch_idx: int, data_batch: Batch = None) -> None:
        """Record the iteration and the learning rate it will use."""
        hub, names = runner.message_hub, self._scalar_names
        if runner.epoch != self._epoch:  # a loop of iterations counts the passes over the data
            self.before_train_epoch(runner)
        hub.update_info("iter", runner.iter)
        for name, values in runner.optim_wrapper.get_lr().items():
            hub.update_scalar(names.get(name) or self._scalar_name(name), values[0])

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Record the log variables; tensors stay on their device until somebody asks."""
        if outputs:
            hub, names = runner.message_hub, self._scalar_names
            for name, value in outputs.items():
                hub.update_scalar(names.get(name) or self._scalar_name(name), value)
        optim_wrapper: Any = runner.optim_wrapper
        if isinstance(optim_wrapper, OptimWrapperDict):
            for name, value in optim_wrapper.grad_norms().items():
                runner.message_hub.update_scalar(self._scalar_name(name), value)
        elif isinstance(optim_wrapper, OptimWrapper) and optim_wrapper.last_grad_norm is not None:
            norm = optim_wrapper.last_grad_norm
            runner.message_hub.update_scalar(optim_wrapper.grad_norm_name, norm)

    def after_train(self, runner: Run) -> None:
        """Record that no loop runs."""
        runner.message_hub.update_info("loop_stage", None)

    def before_val(self, runner: Run) -> None:
        """Record that the run is validating."""
        self.last_loop_stage = runner.message_hub.get_info("loop_stage", default=None)
        runner.message_hub.update_info("loop_stage", "val")

    def after_val(self, runner: Run) -> None:
        """Record that the run does again what it did before, training or nothing."""
        runner.message_hub.update_info("loop_stage", self.last_loop_stage)

    def before_test(self, runner: Run) -> None:
        """Record that the run is testing."""
        runner.message_hub.update_info("loop_stage", "test")

    def after_test(self, runner: Run) -> None:
        """Record that no loop runs."""
        runner.message_hub.update_info("loop_stage", None)

    def after_val_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Record the metrics of a validation."""
        _record_metrics(runner, "val", metrics)

    def after_test_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Record the metrics of a test."""
        _record_metrics(runner, "test", metrics)

    def _scalar_name(self, name: str) -> str:
        return self._scalar_names.setdefault(name, f"train/{name}")


def _record_metrics(runner: Run, mode: str, metrics: Metrics | None) -> None:
    for name, value in (metrics or {}).items():
        if _is_scalar(value):
            runner.message_hub.update_scalar(f"{mode}/{name}", value)
        else:
            runner.message_hub.update_info(f"{mode}/{name}", value)


def _is_scalar(value: Any) -> bool:
    """Return whether a metric is a number, or a tensor or array of one."""
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.is_complex()
    if isinstance(value, np.ndarray | np.generic):
        return value.size == 1 and value.dtype.kind in "biuf"
    return isinstance(value, Real)
