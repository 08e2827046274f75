"""Log the norms of the gradients."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from engine_model import is_model_wrapper
from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._integer import integer
from engine_runner._protocols import Run
from engine_runner._types import Batch
from engine_runner._wrappers import wrappers_by_name
from engine_runner.hooks._log_points import LogsWithin, log_points

_CLIP_EPSILON = 1e-6  # of `torch.nn.utils.clip_grad_norm_`


@HOOKS.register_module()
class GradientNormHook(Hook):
    """Log the L2 norm of the gradients of each optimizer step, as ``grad_norm``.

    The norms are those of the true gradients: over a whole accumulation window, averaged over the
    ranks, without the loss scale of mixed precision, and before they are clipped by norm. (Values
    that ``clip_value`` clips cannot be restored: there the norm is that of the clipped gradients.)
    Norms of sharded gradients are those of whole gradients. Several optimizers have one each, such
    as ``gen.grad_norm``.

    They are computed only in iterations that are logged. With accumulation that is the last step
    before the line of the log, or the one in it. With `clip_grad_norm_` the run logs the total of
    an optimizer without this hook, which then adds the norms of the modules.

    Args:
        per_module: Also log the norm of each top-level module of the model, such as
            ``grad_norm/backbone``.
        interval: Iterations from one computation to the next; by default where the run logs.

    Raises:
        ValueError: ``interval`` is not an integer >= 1.

    Example:
        >>> custom_hooks = [dict(type="GradientNormHook", per_module=True)]  # of a config
    """

    priority = "NORMAL"

    def __init__(self, per_module: bool = False, interval: int | None = None) -> None:
        self.per_module = per_module
        self.interval = None if interval is None else integer("interval", interval, at_least=1)
        self._logs_within: LogsWithin | None = None
        self._modules: dict[int, str] = {}  # by the id of a parameter
        self._batch_idx = 0
        self._registered = ExitStack()
        self._warned = False

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Remove the functions from the optimizers however the run ends."""
        try:
            yield
        finally:
            self._registered.close()

    def before_train(self, runner: Run) -> None:
        """Let each optimizer call this hook before its steps."""
        self._logs_within = self._within_interval if self.interval else log_points(runner)
        if self._logs_within is None:
            runner.logger.warning(
                "GradientNormHook never acts: the run has no hook that logs; set its interval, or "
                "add a LoggerHook"
            )
            return
        self._modules = _top_level_modules(runner.model)
        wrappers = wrappers_by_name(runner.optim_wrapper)
        logged_by_run = {name for name, one in wrappers.items() if _clips_by_norm(one)}
        if len(logged_by_run) == len(wrappers) and not self.per_module:
            runner.logger.warning(
                "GradientNormHook never acts: with clip_grad the run logs grad_norm by itself; "
                "set per_module=True, or leave the hook out"
            )
            return
        for name, wrapper in wrappers.items():
            logged = name in logged_by_run  # its total, by `RuntimeInfoHook`
            if logged and not self.per_module:
                continue
            record = partial(self._record, runner, f"{name}." if name else "", wrapper, logged)
            handle = wrapper.optimizer.register_step_pre_hook(record)
            self._registered.callback(handle.remove)

    def before_train_iter(self, runner: Run, batch_idx: int, data_batch: Batch = None) -> None:
        """Note the batch, by which the iterations that log are found."""
        self._batch_idx = batch_idx

    def _within_interval(self, batch_idx: int, iterations: int) -> bool:
        interval = self.interval or 1
        return batch_idx % interval + iterations >= interval

    @torch.no_grad()
    def _record(
        self,
        runner: Run,
        prefix: str,
        wrapper: Any,
        total_is_logged: bool,
        optimizer: Optimizer,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        """Record the norms before a step, if it is the last one before a line of the log."""
        window = getattr(wrapper, "accumulative_counts", 1)
        if self._logs_within is None or not self._logs_within(self._batch_idx, window):
            return
        if len(args) > 1 or kwargs.get("closure") is not None:  # the first one is the optimizer
            self._warn_of_closure(runner, optimizer)
            return
        groups = self._gradients(optimizer)
        if not groups:
            return
        norms = {name: _norm(gradients) for name, gradients in groups.items()}
        factor = _factor(wrapper, optimizer)
        hub = runner.message_hub
        if not total_is_logged:
            hub.update_scalar(f"train/{prefix}grad_norm", _total(norms.values()) / factor)
        if self.per_module:
            for name, norm in norms.items():
                hub.update_scalar(f"train/{prefix}grad_norm/{name}", norm / factor)

    def _gradients(self, optimizer: Optimizer) -> dict[str, list[Tensor]]:
        """Return the gradients by top-level module, or all under one name."""
        groups: dict[str, list[Tensor]] = {}
        for group in optimizer.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    module = self._modules.get(id(param), "other") if self.per_module else ""
                    groups.setdefault(module, []).append(param.grad)
        return groups

    def _warn_of_closure(self, runner: Run, optimizer: Optimizer) -> None:
        if not self._warned:
            runner.logger.warning(
                f"GradientNormHook never acts on {type(optimizer).__name__}, which computes its "
                "gradients in a closure, within its step"
            )
        self._warned = True


def _top_level_modules(model: nn.Module) -> dict[int, str]:
    """Return the name of the top-level module of each parameter, by the parameter's id."""
    inner: Any = model.module if is_model_wrapper(model) and hasattr(model, "module") else model
    return {id(param): name.partition(".")[0] for name, param in inner.named_parameters()}


def _clips_by_norm(wrapper: Any) -> bool:
    return "max_norm" in (getattr(wrapper, "clip_grad_kwargs", None) or {})


def _factor(wrapper: Any, optimizer: Optimizer) -> Any:
    """Return what the gradients were multiplied by: the loss scale, or that of clipping."""
    # A gradient scaler leaves it to fused optimizers to divide by the scale.
    scale = getattr(optimizer, "grad_scale", None)
    if scale is not None:
        return scale
    norm = getattr(wrapper, "last_grad_norm", None)
    if norm is None or not _clips_by_norm(wrapper):
        return 1.0
    return torch.clamp(wrapper.clip_grad_kwargs["max_norm"] / (norm + _CLIP_EPSILON), max=1.0)


def _norm(gradients: Iterable[Tensor]) -> Tensor:
    """Return the L2 norm of gradients; of sharded ones, with a collective over their ranks."""
    dense: list[Tensor] = []
    sharded: list[Tensor] = []
    for gradient in gradients:
        if hasattr(gradient, "full_tensor"):
            sharded.append(gradient)
        else:
            # The values of a coalesced sparse gradient are all that it has.
            dense.append(gradient.coalesce().values() if gradient.is_sparse else gradient)
    norms = [torch.nn.utils.get_total_norm(dense)] if dense else []
    if sharded:
        whole: Any = torch.nn.utils.get_total_norm(sharded)
        norms.append(whole.full_tensor())
    return _total(norms)


def _total(norms: Iterable[Tensor]) -> Tensor:
    found = list(norms)
    if len(found) == 1:
        return found[0]
    stacked = torch.stack([one.to(found[0].device) for one in found])
    total: Tensor = torch.linalg.vector_norm(stacked)
    return total
