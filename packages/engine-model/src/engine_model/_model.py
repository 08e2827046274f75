"""The base class of models: run the steps of training, validation and test."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from engine_model._forward import run_forward
from engine_model._module import BaseModule
from engine_model._preprocess import BaseDataPreprocessor, npu_device
from engine_model._step import forward_step
from engine_model.init._initialize import InitConfig
from engine_registry import MODELS


class OptimizerWrapper(Protocol):
    """The interface of an optimizer wrapper that `BaseModel.train_step` uses."""

    def optim_context(self, model: nn.Module, /) -> AbstractContextManager[Any]:
        """Return the context for the forward pass, which sets precision and synchronization."""

    def update_params(self, loss: Tensor, /) -> None:
        """Run the backward pass from ``loss`` and update the parameters."""


def _with_any_signature(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``method``, typed so that subclasses may override it with other parameters."""
    # mypy compares the signature of an override only with a method whose signature it can see.
    return method


class BaseModel(BaseModule, metaclass=ABCMeta):
    """Run the steps of training, validation and test with the `forward` of a subclass.

    The data preprocessor is a sub-module. When the model moves to a device, the preprocessor moves
    each batch to that device.

    Args:
        data_preprocessor: A module, or a config of one in `MODELS`, which is called with
            ``(data, training)``. By default a `BaseDataPreprocessor`.
        init_cfg: One or more configs of initializers; see `initialize`.

    Raises:
        TypeError: ``data_preprocessor`` is neither a module nor a dict.

    Example:
        >>> class Regression(BaseModel):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.linear = nn.Linear(2, 1)
        ...     def forward(self, inputs, targets=None, mode="tensor"):
        ...         outputs = self.linear(inputs)
        ...         if mode == "loss":
        ...             return {"loss": (outputs - targets).square()}
        ...         return outputs
        >>> Regression().val_step((torch.zeros(4, 2), torch.zeros(4, 1))).shape
        torch.Size([4, 1])
    """

    def __init__(
        self,
        data_preprocessor: Mapping[str, Any] | nn.Module | None = None,
        init_cfg: InitConfig | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.data_preprocessor = build_data_preprocessor(data_preprocessor)

    @_with_any_signature
    @abstractmethod
    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        """Return losses, predictions or features.

        A dict is passed as keyword arguments, and a list or tuple as positional arguments. A
        subclass may choose the names of its parameters, except ``mode``.

        Args:
            inputs: The inputs of the batch.
            data_samples: Annotations and other data of the batch.
            mode: ``"loss"`` to return a dict of losses, ``"predict"`` to return predictions for the
                evaluator, ``"tensor"`` to return plain outputs.
        """

    def train_step(self, data: Any, optim_wrapper: OptimizerWrapper) -> dict[str, Tensor]:
        """Train on one batch: preprocess, forward, backward, update.

        Args:
            data: The batch that the data loader yielded.
            optim_wrapper: The wrapper that updates the parameters.

        Returns:
            The losses by name, and their sum as ``loss``, as tensors.
        """
        with optim_wrapper.optim_context(self):
            losses = forward_step(self, data, "loss")
        loss, log_vars = self.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return log_vars

    def val_step(self, data: Any) -> Any:
        """Return the predictions for one batch.

        Args:
            data: The batch that the data loader yielded.
        """
        return forward_step(self, data, "predict")

    def test_step(self, data: Any) -> Any:
        """Return the predictions for one batch, by default as in validation.

        Args:
            data: The batch that the data loader yielded.
        """
        return forward_step(self, data, "predict")

    def _run_forward(self, data: Any, mode: str) -> Any:
        """Call the model with the parts of a batch; a subclass may override it.

        `train_step`, `val_step` and `test_step` call it, also where a wrapper trains the model.

        Args:
            data: The batch that the data preprocessor returned.
            mode: ``"loss"``, ``"predict"`` or ``"tensor"``.
        """
        return run_forward(self, data, mode)

    def parse_losses(
        self, losses: Mapping[str, Tensor | Sequence[Tensor]]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss for the backward pass, and all values to log.

        A tensor is reduced to its mean, and a list of tensors to the sum of their means. Each entry
        whose name contains ``loss`` is added to the loss. Other entries are only logged.

        Args:
            losses: The dict that `forward` returned in the mode ``"loss"``.

        Returns:
            The sum of the losses, and a dict with the sum as ``loss``, and then all entries in
            order.

        Raises:
            TypeError: ``losses`` is not a dict, or a value is neither a tensor nor a list of
                tensors.
            ValueError: No name contains ``loss``.
        """
        if not isinstance(losses, Mapping):
            raise TypeError(
                f"forward of {type(self).__name__} must return a dict of losses in the mode "
                f"'loss', such as {{'loss': …}}, got {_described(losses)}"
            )
        log_vars: dict[str, Tensor] = {}
        total: Tensor | None = None
        for name, value in losses.items():
            if not isinstance(value, Tensor):
                value = _sum_of_means(name, value)
            elif value.ndim:  # a scalar is its own mean; skipping it saves a kernel
                value = _mean(value)
            log_vars[name] = value
            if "loss" in name:
                total = value if total is None else total + value
        if total is None:
            raise ValueError(
                f"at least one name must contain 'loss', otherwise there is nothing to optimize, "
                f"got {list(losses)}"
            )
        log_vars.pop("loss", None)
        return total, {"loss": total, **log_vars}

    def npu(self, device: int | str | torch.device | None = None) -> Self:
        """Move to an Ascend NPU, by default the current one."""
        return self.to(npu_device(device))


def build_data_preprocessor(value: Mapping[str, Any] | nn.Module | None) -> nn.Module:
    """Return a data preprocessor from a module, its config, or ``None``.

    Raises:
        TypeError: ``value`` is something else.
    """
    if value is None:
        return BaseDataPreprocessor()
    if isinstance(value, nn.Module):
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"data_preprocessor must be a module or a dict, got {value!r}")
    built = MODELS.build(dict(value))
    if not isinstance(built, nn.Module):
        raise TypeError(f"data_preprocessor {value!r} must build a module, got {built!r}")
    return built


def _sum_of_means(name: str, value: object) -> Tensor:
    if not isinstance(value, list | tuple) or not value:
        raise TypeError(f"{name!r} must be a tensor or a list of tensors, got {value!r}")
    for item in value:
        if not isinstance(item, Tensor):
            raise TypeError(f"{name!r} must be a list of tensors, got {item!r} in it")
    return torch.stack([_mean(item) for item in value]).sum()


def _mean(value: Tensor) -> Tensor:
    """Return the mean, also of integers and booleans, for which torch raises an error."""
    if value.is_floating_point() or value.is_complex():
        return value.mean()
    return value.float().mean()


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return "None" if value is None else f"a {type(value).__name__}"
