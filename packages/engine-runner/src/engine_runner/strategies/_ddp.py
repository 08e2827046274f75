"""Data parallelism: each process holds a copy of the model, and gradients are averaged."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from engine_model import is_model_wrapper
from engine_registry import MODEL_WRAPPERS, STRATEGIES
from engine_runner.strategies._base import (
    Strategy,
    require_process_group,
    wrapper_config,
)
from engine_runner.strategies._checkpointing import Modules

_DEFAULT = "MMDistributedDataParallel"


@STRATEGIES.register_module()
class DDPStrategy(Strategy):
    """Wrap the model so that backward passes average the gradients across processes.

    Args:
        device: The device on which this process computes.
        model_wrapper: Config of a wrapper of ``MODEL_WRAPPERS``, or its name.
        sync_bn: See `Strategy`.
        compile: See `Strategy`.
        activation_checkpointing: See `Strategy`.

    Raises:
        SettingsError: There is no process group.

    Example:
        >>> DDPStrategy(torch.device("cpu"), "MMSeparateDistributedDataParallel").model_wrapper
        {'type': 'MMSeparateDistributedDataParallel'}
    """

    def __init__(
        self,
        device: torch.device,
        model_wrapper: Mapping[str, Any] | str | None = None,
        *,
        sync_bn: str | None = None,
        compile: bool | Mapping[str, Any] = False,
        activation_checkpointing: Modules | None = None,
    ) -> None:
        super().__init__(
            device,
            sync_bn=sync_bn,
            compile=compile,
            activation_checkpointing=activation_checkpointing,
        )
        self.model_wrapper = wrapper_config(model_wrapper, _DEFAULT)
        if self.model_wrapper["type"] == _DEFAULT:
            # Buffers are averaged when a checkpoint is saved, not sent in each forward pass.
            self.model_wrapper.setdefault("broadcast_buffers", False)

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model inside the wrapper; one without parameters to train stays as it is."""
        require_process_group(self)
        learns = any(parameter.requires_grad for parameter in model.parameters())
        if is_model_wrapper(model) or not learns:  # DDP raises where no gradient is averaged
            return model
        wrapper = {**self.model_wrapper, "module": model}
        if self.device.type != "cpu":
            wrapper.setdefault("device_ids", [self.device.index])
        wrapped: nn.Module = MODEL_WRAPPERS.build(wrapper)
        return wrapped
