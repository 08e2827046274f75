"""Sharding: each process holds a part of the weights, gradients and optimizer states."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from engine_model import (
    Policy,
    WholeDraws,
    check_sharding,
    is_model_wrapper,
    materialize,
    parameters_on_meta,
    unfilled_parameters,
)
from engine_registry import MODEL_WRAPPERS, STRATEGIES
from engine_runner._errors import SettingsError
from engine_runner.strategies._base import Strategy, require_process_group, wrapper_config
from engine_runner.strategies._checkpointing import Modules

_DEFAULT = "MMFullyShardedDataParallel"
_CHECKED = (
    "auto_wrap_policy",
    "mixed_precision",
    "sharding_strategy",
    "mesh",
    "reshard_after_forward",
)


@STRATEGIES.register_module()
class FSDPStrategy(Strategy):
    """Shard the model with FSDP2 (`torch.distributed.fsdp.fully_shard`).

    Checkpoints hold whole weights, so that a run may resume on another number of ranks. The
    arguments from ``auto_wrap_policy`` to ``param_init_fn`` are those of the wrapper; see
    `MMFullyShardedDataParallel`.

    Args:
        device: The device on which this process computes.
        model_wrapper: Config of a sharding wrapper of ``MODEL_WRAPPERS``, or its name.
        auto_wrap_policy: Which sub-modules are units: names of classes, classes, names of modules,
            the least number of elements, or a policy.
        mixed_precision: Data types of parameters, reductions, outputs and buffers.
        cpu_offload: Whether parameters and gradients are stored and updated in CPU memory.
        reshard_after_forward: Whether whole parameters are freed after the forward pass.
        sharding_strategy: The name of a strategy, instead of ``reshard_after_forward``.
        mesh: The copies and the ranks that share one, such as ``(2, 4)``.
        param_init_fn: Fills the parameters of a module that is on the meta device.
        build_on_meta: Build the model from its config without memory for its parameters, create
            shards, and fill them by the `reset_parameters` of each module, and then by
            ``init_weights``. For models that fit in no single memory.
        sync_bn: See `Strategy`.
        compile: See `Strategy`.
        activation_checkpointing: See `Strategy`.

    Raises:
        SettingsError: There is no process group; an argument is also in ``model_wrapper``, or has
            an unknown value.

    Example:
        >>> FSDPStrategy(torch.device("cpu"), auto_wrap_policy="Block").model_wrapper
        {'type': 'MMFullyShardedDataParallel', 'auto_wrap_policy': 'Block'}
    """

    def __init__(
        self,
        device: torch.device,
        model_wrapper: Mapping[str, Any] | str | None = None,
        *,
        auto_wrap_policy: Policy | None = None,
        mixed_precision: Mapping[str, Any] | None = None,
        cpu_offload: bool | None = None,
        reshard_after_forward: bool | int | None = None,
        sharding_strategy: str | None = None,
        mesh: int | Sequence[int] | None = None,
        param_init_fn: str | Callable[[nn.Module], Any] | None = None,
        build_on_meta: bool = False,
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
        options = {
            "auto_wrap_policy": auto_wrap_policy,
            "mixed_precision": mixed_precision,
            "cpu_offload": cpu_offload,
            "reshard_after_forward": reshard_after_forward,
            "sharding_strategy": sharding_strategy,
            "mesh": mesh,
            "param_init_fn": param_init_fn,
        }
        given = {name: value for name, value in options.items() if value is not None}
        self.model_wrapper = wrapper_config(model_wrapper, _DEFAULT)
        twice = [name for name in given if name in self.model_wrapper]
        if twice:
            raise SettingsError(
                f"{twice[0]} must be set once, got {given[twice[0]]!r} in the strategy and "
                f"{self.model_wrapper[twice[0]]!r} in its model_wrapper; remove one of them"
            )
        self.model_wrapper |= given
        self.build_on_meta = build_on_meta
        if self.model_wrapper["type"] == _DEFAULT:
            checked = {name: self.model_wrapper.get(name) for name in _CHECKED}
            try:
                check_sharding(**checked)
            except (TypeError, ValueError) as error:
                raise SettingsError(str(error)) from error

    def build(self, make: Callable[[Any], nn.Module], model: Any) -> nn.Module:
        """Return the model that a function builds, if asked for without memory for parameters.

        Raises:
            SettingsError: The model is to be built on the meta device, and exists already.
        """
        if not self.build_on_meta:
            return make(model)
        if isinstance(model, nn.Module):
            raise SettingsError(
                "build_on_meta must be False with a model that is built already, got "
                f"{type(model).__name__}; give the config of the model, or build it under "
                "engine_model.parameters_on_meta()"
            )
        with parameters_on_meta():
            return make(model)

    def place(self, model: nn.Module) -> nn.Module:
        """Return the model on the device of this process; meta parameters stay as they are."""
        if not any(parameter.is_meta for parameter in model.parameters()):
            return super().place(model)
        move: Any = model._apply
        placed: nn.Module = move(lambda one: one if one.is_meta else one.to(self.device))
        return placed

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model with its parameters sharded over the process group."""
        require_process_group(self)
        if is_model_wrapper(model):
            return model
        # Unlike DDP it takes no device_ids: fully_shard gets its devices from the process group.
        wrapped: nn.Module = MODEL_WRAPPERS.build({**self.model_wrapper, "module": model})
        if any(parameter.is_meta for parameter in model.parameters()):
            self.build_on_meta = True  # also for a model that the caller has built so
            stored = torch.device("cpu") if self.model_wrapper.get("cpu_offload") else self.device
            materialize(model, stored)
            _RequireValues(model)
        return wrapped

    def initializing(self, model: nn.Module) -> AbstractContextManager[object]:
        """Return the context of ``init_weights``; it draws for whole weights, one at a time."""
        return WholeDraws() if self.build_on_meta else super().initializing(model)


class _RequireValues:
    """Raise before the first forward pass if a parameter has no values, and then do nothing."""

    def __init__(self, model: nn.Module) -> None:
        self._handle = model.register_forward_pre_hook(self)

    def __call__(self, model: nn.Module, arguments: Any) -> None:
        missing = unfilled_parameters(model)
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise SettingsError(
                "each parameter of a model that is built on the meta device must be filled, got no "
                f"values for {missing[0]!r}{more}; give its module a reset_parameters method, fill "
                "it in the init_weights of the model, or load a checkpoint that has it"
            )
        self._handle.remove()
