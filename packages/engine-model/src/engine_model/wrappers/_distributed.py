"""Data parallelism: each rank has a copy of the model, and gradients are averaged."""

import inspect
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from engine_dist import guard_collective
from engine_model._anomalous import detect_anomalous_params
from engine_model._forward import called_through, run_forward
from engine_model._model import BaseModel, OptimizerWrapper
from engine_model._step import forward_step
from engine_model.wrappers._group import require_process_group
from engine_model.wrappers._own_step import EqualWeights, has_own_step
from engine_model.wrappers._steps import StepsOfModel
from engine_registry import MODEL_WRAPPERS

_RENAMED = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
"""Whether this torch has the new name of ``broadcast_buffers``, and warns about the old one."""


@MODEL_WRAPPERS.register_module()
class MMDistributedDataParallel(DistributedDataParallel, StepsOfModel):
    """Extend `torch.nn.parallel.DistributedDataParallel` by the steps of a `BaseModel`.

    The training step calls the wrapper's forward, so gradients are averaged across the ranks.
    Validation and test call the model directly. A process group must exist.

    If the model has its own `train_step`, that step is run. In it, ``self(...)`` calls the wrapper,
    and ``optim_wrapper.optim_context(self)`` finds its `no_sync`. After the first update the
    weights of all ranks are compared.

    Args:
        module: The model, on its device.
        detect_anomalous_params: Whether each training step logs the parameters that the loss does
            not depend on, which is slow; see `detect_anomalous_params`.
        **kwargs: Arguments of `torch.nn.parallel.DistributedDataParallel`.

    Raises:
        RuntimeError: There is no process group.
        ValueError: ``detect_anomalous_params`` is set, and the model has its own `train_step`,
            whose losses the wrapper does not see.

    Example:
        >>> import torch
        >>> from torch import distributed
        >>> group = {"store": distributed.HashStore(), "rank": 0, "world_size": 1}
        >>> distributed.init_process_group("gloo", **group)
        >>> wrapper = MMDistributedDataParallel(nn.Linear(2, 1))
        >>> wrapper(torch.zeros(4, 2)).shape
        torch.Size([4, 1])
        >>> distributed.destroy_process_group()
    """

    def __init__(
        self, module: nn.Module, detect_anomalous_params: bool = False, **kwargs: Any
    ) -> None:
        require_process_group("distributed training")
        if detect_anomalous_params and has_own_step(module):
            raise ValueError(
                "detect_anomalous_params must be False for a model with its own train_step, got "
                f"{type(module).__name__}; call engine_model.detect_anomalous_params(loss, self) "
                "in that step"
            )
        if "broadcast_buffers" in kwargs and _RENAMED:
            kwargs["forward_sync_buffers"] = kwargs.pop("broadcast_buffers")
        super().__init__(module, **kwargs)
        self.detect_anomalous_params = detect_anomalous_params
        self._equal_weights = EqualWeights(module) if has_own_step(module) else None

    def train_step(self, data: Any, optim_wrapper: OptimizerWrapper) -> dict[str, Tensor]:
        """Train on one batch: preprocess, forward, backward, update, or the model's own step.

        Args:
            data: The batch that the data loader of this rank yielded.
            optim_wrapper: The wrapper that updates the parameters.

        Returns:
            The losses of this rank by name, and their sum as ``loss``; or what the model's own
            step returns.

        Raises:
            RuntimeError: The model's own step has left different weights on the ranks.
        """
        if self._equal_weights is not None:
            return self._own_train_step(data, optim_wrapper, self._equal_weights)
        model = self.module  # once: torch looks up each sub-module in several dicts
        with optim_wrapper.optim_context(self):
            # It calls the wrapper, whose forward prepares the hooks that average gradients.
            losses = forward_step(self, data, "loss")
        loss, log_vars = model.parse_losses(losses)
        if self.detect_anomalous_params:
            detect_anomalous_params(loss, model)
        # The backward pass averages gradients. If a rank is lost, the error occurs here.
        with guard_collective("backward"):
            optim_wrapper.update_params(loss)
        result: dict[str, Tensor] = log_vars
        return result

    def _own_train_step(
        self, data: Any, optim_wrapper: OptimizerWrapper, weights: EqualWeights
    ) -> dict[str, Tensor]:
        """Run the `train_step` of the model, whose calls of itself run this wrapper."""
        calls: list[bool] = []
        handle = None
        if not weights.done:
            handle = self.register_forward_pre_hook(lambda *_: calls.append(True))
        try:
            # The backward pass in it averages gradients. If a rank is lost, the error occurs here.
            with guard_collective("train_step"):
                result: dict[str, Tensor] = called_through(self.module, self).train_step(
                    data, optim_wrapper
                )
        finally:
            if handle is not None:
                handle.remove()
        if handle is not None:
            weights.after_step(called=bool(calls), group=self.process_group)
        return result

    def _run_forward(self, data: Any, mode: str) -> Any:
        """Call this wrapper with the parts of a batch, as `BaseModel._run_forward` of the model."""
        model = self.module
        own = getattr(type(model), "_run_forward", BaseModel._run_forward)
        if own is BaseModel._run_forward:
            return run_forward(self, data, mode)
        return called_through(model, self)._run_forward(data, mode)
