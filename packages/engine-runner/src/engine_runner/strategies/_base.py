"""The steps from a built model to a trainable one, and back to its weights."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from engine_dist import broadcast, is_distributed
from engine_model import (
    compiled_in_place,
    convert_sync_batchnorm,
    is_model_wrapper,
    is_sharded,
    require_shapes,
    whole_parameters,
)
from engine_model.weights import LoadReport, get_state_dict, load_state_dict, weights_to_cpu
from engine_runner._errors import SettingsError
from engine_runner.strategies._checkpointing import (
    Modules,
    check_modules,
    turn_on_activation_checkpointing,
)
from engine_runner.strategies._compile import Compilation

_log = logging.getLogger("engine.runner")


class Strategy(ABC):
    """Place, convert, compile and wrap a model, and save and load its weights.

    A subclass states how it wraps the model.

    Args:
        device: The device on which this process computes.
        sync_bn: Convert batch normalization layers to ones that normalize over all ranks:
            ``"torch"`` or ``"mmcv"``. ``None`` leaves them as they are. It has no effect without a
            process group.
        compile: Compile the model in place: ``True``, or arguments of `torch.compile` such as
            ``dict(mode="max-autotune")``, with a ``target``. ``"model"`` is the forward pass,
            ``"step"`` the preprocessing with it, and a list has names of modules, such as
            ``["backbone"]``. Validation and test run compiled, too. Weights keep their names.
        activation_checkpointing: The modules whose activations are computed again in the backward
            pass, as `turn_on_activation_checkpointing` takes them; ``None`` for none.

    Raises:
        SettingsError: ``compile`` has a wrong ``target``. Activations are checkpointed with the
            backend ``"eager"`` of the compiler, which computes dropout anew, or
            ``activation_checkpointing`` names nothing.

    Example:
        >>> class InDouble(Strategy):
        ...     def wrap(self, model):
        ...         return model.double()
        >>> InDouble(torch.device("cpu")).prepare(nn.Linear(1, 1)).weight.dtype
        torch.float64
    """

    def __init__(
        self,
        device: torch.device,
        *,
        sync_bn: str | None = None,
        compile: bool | Mapping[str, Any] = False,
        activation_checkpointing: Modules | None = None,
    ) -> None:
        self.device = torch.device(device)  # a config has it as text
        self.sync_bn = sync_bn
        self.compilation = Compilation.of(compile)
        self.activation_checkpointing = activation_checkpointing
        if activation_checkpointing is None:
            return
        check_modules(activation_checkpointing)
        if self.compilation is not None and self.compilation.options.get("backend") == "eager":
            raise SettingsError(
                "the backend of compile must not be 'eager' with activation_checkpointing, as it "
                "draws other random numbers in the backward pass; use 'inductor' or 'aot_eager'"
            )

    def prepare(self, model: nn.Module) -> nn.Module:
        """Return the model converted, on its device, compiled and wrapped, in this order.

        Activation checkpoints are set before it is compiled.

        A model that `torch.compile` returned is replaced by its original, compiled in place. Only
        so do the steps of the model run the compiled code, and its weights keep their names.

        Raises:
            ValueError: A parameter has no shape yet.
        """
        require_shapes(model)
        model = compiled_in_place(model)
        if self.sync_bn is not None:
            if is_distributed():
                model = convert_sync_batchnorm(model, self.sync_bn)
            else:
                _log.info("sync_bn=%r has no effect in a run of one process.", self.sync_bn)
        model = self.place(model)
        if self.activation_checkpointing is not None:
            turn_on_activation_checkpointing(model, self.activation_checkpointing)
        if self.compilation is None:
            return self.wrap(model)
        self.compilation.before_wrapping(model)
        wrapped = self.wrap(model)
        self.compilation.after_wrapping(wrapped, model)
        return wrapped

    def build(self, make: Callable[[Any], nn.Module], model: Any) -> nn.Module:
        """Return the model that a function builds from its setting.

        Args:
            make: The function.
            model: The setting: a model or its config.
        """
        return make(model)

    def place(self, model: nn.Module) -> nn.Module:
        """Return the model on the device of this process."""
        return model.to(self.device)

    @abstractmethod
    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model, which is on its device, ready for the steps of a loop."""

    def initialize(self, model: nn.Module) -> None:
        """Initialize the weights as the model's ``init_weights`` says, equally on all ranks.

        Sharded weights get the values that they would have in one process.
        """
        inner: Any = self.unwrap(model)
        if hasattr(inner, "init_weights"):
            with self.initializing(inner):
                inner.init_weights()
            self.synchronize(inner)

    def initializing(self, model: nn.Module) -> AbstractContextManager[object]:
        """Return the context of ``init_weights``: sharded weights are whole in it."""
        return whole_parameters(model)

    def synchronize(self, model: nn.Module) -> None:
        """Send the weights and buffers of rank 0 to every rank, except for sharded ones.

        All ranks must call this, after each has initialized its own weights.
        """
        with torch.no_grad():
            for tensor in [*model.parameters(), *model.buffers()]:
                if not is_sharded(tensor):
                    broadcast(tensor.data, src=0)

    def model_state(self, model: nn.Module, *, whole: bool = True) -> dict[str, Any]:
        """Return the whole model's weights on the CPU, named as without a wrapper.

        All ranks must call this.

        Args:
            model: The model that `prepare` returned.
            whole: Whether sharded weights are gathered. If not, they stay sharded, and the others
                stay on their device, as a writer of shards takes them.
        """
        state = get_state_dict(self.unwrap(model))
        return weights_to_cpu(state) if whole else state

    def load_model_state(
        self, model: nn.Module, state: Mapping[str, Any], *, strict: bool = False
    ) -> LoadReport:
        """Load weights that are named as without a wrapper.

        Args:
            model: The model that `prepare` returned.
            state: The whole model's weights.
            strict: Raise if a weight is missing or unexpected.

        Returns:
            The weights that did not fit.
        """
        return load_state_dict(self.unwrap(model), state, strict=strict)

    def unwrap(self, model: nn.Module) -> nn.Module:
        """Return the model inside its wrapper, or a model without an inner one as it is."""
        module = getattr(model, "module", model)
        return module if is_model_wrapper(model) and isinstance(module, nn.Module) else model


BaseStrategy = Strategy
"""Another name of `Strategy`."""


def wrapper_config(model_wrapper: Mapping[str, Any] | str | None, default: str) -> dict[str, Any]:
    """Return the config of a model wrapper, given by name, as a config, or not at all.

    Args:
        model_wrapper: The setting.
        default: The ``type`` where the setting has none.
    """
    given = {"type": model_wrapper} if isinstance(model_wrapper, str) else model_wrapper or {}
    return {"type": default, **given}


def require_process_group(strategy: Strategy) -> None:
    """Raise if there is no process group, over which the strategy distributes the model.

    Raises:
        SettingsError: There is none.
    """
    if not is_distributed():
        raise SettingsError(
            f"{type(strategy).__name__} needs a process group; start the processes with torchrun "
            "and set launcher='pytorch'"
        )
