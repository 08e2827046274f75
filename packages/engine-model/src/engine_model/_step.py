"""Run the part of a step before the backward pass: preprocessing and forward, compiled or not."""

from typing import Any

import torch
from torch import nn


class _CompiledFunction:
    """A function that is compiled at its first call, and again after a copy or a pickle.

    Args:
        options: Arguments of `torch.compile`.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._compiled: Any = None

    def __call__(self, caller: Any, data: Any, mode: str) -> Any:
        if self._compiled is None:
            self._compiled = torch.compile(_preprocess_and_forward, **self._options)
        return self._compiled(caller, data, mode)

    def __reduce__(self) -> tuple[Any, ...]:
        # Compiled code belongs to this process and this model.
        return (_CompiledFunction, (self._options,))


def forward_step(caller: Any, data: Any, mode: str) -> Any:
    """Preprocess a batch and run the forward pass, by the code that `compile_step` compiled if any.

    Args:
        caller: The model or its wrapper, with ``data_preprocessor`` and ``_run_forward``.
        data: The batch that the data loader yielded.
        mode: ``"loss"`` or ``"predict"``.

    Returns:
        What the forward pass returns.
    """
    compiled = caller.__dict__.get("_compiled_step")
    return (compiled or _preprocess_and_forward)(caller, data, mode)


def compile_step(model: nn.Module, **options: Any) -> None:
    """Compile what the steps of a model do before the backward pass, in place.

    That is the data preprocessor and the forward pass, in one graph where the code allows it. The
    names of weights stay as they are.

    Args:
        model: A `BaseModel`, in its wrapper if it has one.
        **options: Arguments of `torch.compile`.

    Example:
        >>> from engine_model import BaseModel
        >>> class Double(BaseModel):
        ...     def forward(self, inputs, mode="tensor"):
        ...         return inputs * 2
        >>> model = Double()
        >>> compile_step(model, backend="eager")
        >>> model.val_step([torch.ones(2)])
        tensor([2., 2.])
    """
    inner = getattr(model, "module", None)
    for caller in [model, *([inner] if isinstance(inner, nn.Module) else [])]:
        # Not by ``setattr``, which some wrappers forward to the model.
        caller.__dict__["_compiled_step"] = _CompiledFunction(options)


def _preprocess_and_forward(caller: Any, data: Any, mode: str) -> Any:
    data = caller.data_preprocessor(data, mode == "loss")
    return caller._run_forward(data, mode)
