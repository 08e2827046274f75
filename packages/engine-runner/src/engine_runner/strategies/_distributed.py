"""A copy of the model a process, gradients averaged between them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from engine_dist import broadcast
from engine_model import (
    MMFullyShardedDataParallel,
    convert_sync_batchnorm,
    is_model_wrapper,
    is_sharded,
)
from engine_registry import MODEL_WRAPPERS, STRATEGIES
from engine_runner.strategies._base import Strategy


@STRATEGIES.register_module()
class DistributedDataParallel(Strategy):
    """Wrap the model so that backward passes average the gradients of all ranks.

    Args:
        device: Where this process computes.
        wrapper: Config of a wrapper of ``MODEL_WRAPPERS``; ``MMDistributedDataParallel`` if it
            names no ``type``.
        sync_bn: Turn batch normalisation layers into ones that normalise over all ranks:
            ``"torch"``.

    Example:
        >>> strategy = DistributedDataParallel(torch.device("cpu"))
        >>> strategy.wrapper["type"]
        'MMDistributedDataParallel'
    """

    def __init__(
        self,
        device: torch.device,
        wrapper: Mapping[str, Any] | None = None,
        sync_bn: str | None = None,
    ) -> None:
        super().__init__(device)
        self.wrapper = {
            "type": "MMDistributedDataParallel",
            "broadcast_buffers": False,
            **(wrapper or {}),
        }
        if self.wrapper["type"] != "MMDistributedDataParallel" and (
            "broadcast_buffers" not in (wrapper or {})
        ):
            del self.wrapper["broadcast_buffers"]
        self.sync_bn = sync_bn

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model on its device, inside the wrapper."""
        if self.sync_bn is not None:
            model = convert_sync_batchnorm(model, self.sync_bn)
        model = model.to(self.device)
        learns = any(parameter.requires_grad for parameter in model.parameters())
        if is_model_wrapper(model) or not learns:  # without gradients there is nothing to average
            return model
        wrapper = dict(self.wrapper, module=model)
        kind = wrapper["type"]
        kind = MODEL_WRAPPERS.get(kind) if isinstance(kind, str) else kind
        # A sharded model knows its devices by the process group.
        takes_ids = kind is not MMFullyShardedDataParallel
        if takes_ids and self.device.type != "cpu" and "device_ids" not in wrapper:
            wrapper["device_ids"] = [self.device.index]
        wrapped: nn.Module = MODEL_WRAPPERS.build(wrapper)
        return wrapped

    def synchronize(self, model: nn.Module) -> None:
        """Give every rank the weights and buffers of rank 0, except for sharded ones."""
        with torch.no_grad():
            for tensor in [*model.parameters(), *model.buffers()]:
                if not is_sharded(tensor):
                    broadcast(tensor.data, src=0)

    def unwrap(self, model: nn.Module) -> nn.Module:
        """Return the model inside its wrapper, or a wrapper that names weights as they are."""
        module = getattr(model, "module", model)
        return module if is_model_wrapper(model) and isinstance(module, nn.Module) else model
