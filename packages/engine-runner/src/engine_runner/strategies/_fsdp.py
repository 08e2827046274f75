"""Sharding: each process holds a part of the weights, gradients and optimizer states."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from engine_model import is_model_wrapper
from engine_registry import MODEL_WRAPPERS, STRATEGIES
from engine_runner.strategies._base import (
    Strategy,
    require_process_group,
    warn_of_own_step,
    wrapper_config,
)
from engine_runner.strategies._checkpointing import Modules

_DEFAULT = "MMFullyShardedDataParallel"


@STRATEGIES.register_module()
class FSDPStrategy(Strategy):
    """Shard the model with FSDP2 (`torch.distributed.fsdp.fully_shard`).

    Checkpoints hold whole weights, or shards with `ShardedWriter`. A run may resume either on
    another number of ranks.

    Args:
        device: The device on which this process computes.
        model_wrapper: Config of a sharding wrapper of ``MODEL_WRAPPERS``, or its name.
        sync_bn: See `Strategy`.
        compile: See `Strategy`.
        activation_checkpointing: See `Strategy`.

    Raises:
        SettingsError: There is no process group.

    Example:
        >>> FSDPStrategy(torch.device("cpu")).model_wrapper
        {'type': 'MMFullyShardedDataParallel'}
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

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model with its parameters sharded over the process group."""
        require_process_group(self)
        if is_model_wrapper(model):
            return model
        # Unlike DDP it takes no device_ids: fully_shard gets its devices from the process group.
        wrapped: nn.Module = MODEL_WRAPPERS.build({**self.model_wrapper, "module": model})
        warn_of_own_step(wrapped, model)
        return wrapped
