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
from engine_model.wrappers._steps import StepsOfModel
from engine_registry import MODEL_WRAPPERS

_RENAMED = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
"""Whether this torch has the new name of ``broadcast_buffers``, and warns about the old one."""


@MODEL_WRAPPERS.register_module()
class MMDistributedDataParallel(DistributedDataParallel, StepsOfModel):
    """Extend `torch.nn.parallel.DistributedDataParallel` by the steps of a `BaseModel`.

    The training step calls the wrapper's forward, so gradients are averaged across the ranks.
    Validation and test call the model directly. A process group must exist.

    Args:
        module: The model, on its device.
        detect_anomalous_params: Whether each training step logs the parameters that the loss does
            not depend on, which is slow; see `detect_anomalous_params`.
        **kwargs: Arguments of `torch.nn.parallel.DistributedDataParallel`.

    Raises:
        RuntimeError: There is no process group.

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
        if "broadcast_buffers" in kwargs and _RENAMED:
            kwargs["forward_sync_buffers"] = kwargs.pop("broadcast_buffers")
        super().__init__(module, **kwargs)
        self.detect_anomalous_params = detect_anomalous_params

    def train_step(self, data: Any, optim_wrapper: OptimizerWrapper) -> dict[str, Tensor]:
        """Train on one batch: preprocess, forward, backward, update.

        Args:
            data: The batch that the data loader of this rank yielded.
            optim_wrapper: The wrapper that updates the parameters.

        Returns:
            The losses of this rank by name, and their sum as ``loss``.
        """
        with optim_wrapper.optim_context(self):
            # It calls the wrapper, whose forward prepares the hooks that average gradients.
            losses = forward_step(self, data, "loss")
        loss, log_vars = self.module.parse_losses(losses)
        if self.detect_anomalous_params:
            detect_anomalous_params(loss, self.module)
        # The backward pass averages gradients. If a rank is lost, the error occurs here.
        with guard_collective("backward"):
            optim_wrapper.update_params(loss)
        result: dict[str, Tensor] = log_vars
        return result

    def _run_forward(self, data: Any, mode: str) -> Any:
        """Call this wrapper with the parts of a batch, as `BaseModel._run_forward` of the model."""
        own = getattr(type(self.module), "_run_forward", BaseModel._run_forward)
        if own is BaseModel._run_forward:
            return run_forward(self, data, mode)
        return called_through(self.module, self)._run_forward(data, mode)
