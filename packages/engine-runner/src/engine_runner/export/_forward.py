"""The part of a model that is exported: the forward pass in ``mode="tensor"``."""

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from engine_runner._errors import ExportError


class TensorForward(nn.Module):
    """Call a model with tensors alone, and return its plain outputs.

    Args:
        model: The model. One with a parameter ``mode`` is called with ``mode="tensor"``.
        names: The parameters of its forward that get the tensors. Others have their defaults, and
            those without one are None.
        with_preprocessor: Whether the tensors pass the model's data preprocessor first.

    Raises:
        ExportError: The forward lacks a parameter of ``names``, or the model has no data
            preprocessor.

    Example:
        >>> import torch
        >>> class Double(nn.Module):
        ...     def forward(self, inputs, data_samples, mode="loss"):
        ...         return inputs * 2 if mode == "tensor" else None
        >>> TensorForward(Double(), ["inputs"])(torch.ones(1))
        tensor([2.])
    """

    def __init__(
        self, model: nn.Module, names: Sequence[str], *, with_preprocessor: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)
        self.with_preprocessor = with_preprocessor
        parameters = inspect.signature(model.forward).parameters
        kinds = {parameter.kind for parameter in parameters.values()}
        unknown = [name for name in names if name not in parameters]
        if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise ExportError(
                f"inputs must be parameters of {type(model).__name__}.forward "
                f"({', '.join(parameters)}), got {', '.join(unknown)}"
            )
        self.others: dict[str, Any] = {
            name: None if parameter.default is parameter.empty else parameter.default
            for name, parameter in parameters.items()
            if name not in (*names, "mode") and _is_plain(parameter)
        }
        self.mode = {"mode": "tensor"} if "mode" in parameters else {}
        if with_preprocessor and not isinstance(
            getattr(model, "data_preprocessor", None), nn.Module
        ):
            raise ExportError(f"{type(model).__name__} has no data_preprocessor to export")

    def forward(self, *tensors: Tensor) -> Any:
        """Return the outputs of the model."""
        data: Any = {**dict(zip(self.names, tensors, strict=True)), **self.others}
        if self.with_preprocessor:
            # A preprocessor finds the images by the name ``inputs``, or as the first of a sequence.
            given = data if "inputs" in data else list(data.values())
            preprocessor: Any = self.model.data_preprocessor
            data = preprocessor(given, False)
            if not isinstance(data, dict):
                data = dict(zip((*self.names, *self.others), data, strict=False))
        return self.model(**{**self.others, **data}, **self.mode)


def input_names(model: nn.Module, count: int) -> list[str]:
    """Return the names of the first parameters of a model's forward.

    Args:
        model: The model.
        count: The number of parameters.

    Raises:
        ExportError: The forward has fewer.
    """
    parameters = inspect.signature(model.forward).parameters.items()
    names = [name for name, item in parameters if name != "mode" and _is_plain(item)]
    if len(names) < count:
        raise ExportError(
            f"inputs must be at most {len(names)}, as {type(model).__name__}.forward has the "
            f"parameters {', '.join(names)}; got {count}"
        )
    return names[:count]


def _is_plain(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
