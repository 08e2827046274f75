"""Count the parameters, FLOPs and activations of a model in one call."""

from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from engine_model._compiled import uncompiled
from engine_model._uninitialized import require_shapes
from engine_model.analysis._analyzer import split_inputs
from engine_model.analysis._cost import ModelCost, measure_cost
from engine_model.analysis._numbers import short_number


def get_model_complexity_info(
    model: nn.Module,
    input_shape: tuple[int, ...] | tuple[tuple[int, ...], ...] | None = None,
    inputs: Tensor | tuple[Any, ...] | dict[str, Any] | None = None,
    show_table: bool = True,
    show_arch: bool = True,
) -> dict[str, Any]:
    """Count parameters, FLOPs and activations; return them as numbers, short texts and a table.

    FLOPs are those of convolutions, matrix products, attention and recurrent layers. A
    multiplication with an addition counts as two operations; papers that report MACs count one, as
    `FlopAnalyzer` does. The model runs in the mode it is in: call ``model.eval()`` first for the
    cost of an evaluation.

    Args:
        model: The model.
        input_shape: The shape of one input without the batch, ``(C, H, W)`` for images. The model
            gets zeros with a batch size of one. Several shapes are those of several inputs.
        inputs: The inputs, instead of ``input_shape``: a tensor, a tuple of positional arguments,
            or a dict of keyword arguments.
        show_table: Whether to add ``out_table``, a table with one line per module.
        show_arch: Whether to add ``out_arch``, the text of the model.

    Returns:
        A dict of ``params``, ``flops`` and ``activations``, their texts under keys such as
        ``params_str``, and ``cost``, a `ModelCost`.

    Raises:
        ValueError: Both or none of ``input_shape`` and ``inputs`` are given. A parameter has no
            shape yet.
        TypeError: ``input_shape`` is not a tuple of integers >= 0, or several of these.

    Example:
        >>> info = get_model_complexity_info(nn.Conv2d(3, 8, 3), (3, 10, 10))
        >>> info["flops"] == 2 * 8 * 8 * 8 * 3 * 3 * 3
        True
        >>> info["params_str"]
        '224'
    """
    if (input_shape is None) == (inputs is None):
        raise ValueError(
            f"either input_shape or inputs must be given, got "
            f"{'none' if inputs is None else 'both'}"
        )
    cost = _measure(model, input_shape, inputs)
    info: dict[str, Any] = {"cost": cost}
    for name in ("params", "flops", "activations"):
        info[name] = getattr(cost, name)
        info[f"{name}_str"] = short_number(info[name])
    if show_table:
        info["out_table"] = cost.table()
    if show_arch:
        with uncompiled(model) as plain:
            info["out_arch"] = repr(plain)
    return info


def _measure(
    model: nn.Module,
    input_shape: tuple[int, ...] | tuple[tuple[int, ...], ...] | None,
    inputs: Tensor | tuple[Any, ...] | dict[str, Any] | None,
) -> ModelCost:
    if input_shape is not None:
        shapes = _shapes(input_shape)
        require_shapes(model)
        # The input has the device and data type of the model, or the defaults without parameters.
        like = next(model.parameters(), torch.empty(0))
        inputs = tuple(like.new_zeros((1, *shape)) for shape in shapes)
    args, kwargs = split_inputs(() if inputs is None else inputs)
    return measure_cost(model, *args, **kwargs)


def _shapes(input_shape: Any) -> list[Any]:
    """Return one shape or several as a list of shapes."""
    nested = isinstance(input_shape, tuple | list)
    several = nested and any(isinstance(shape, tuple | list) for shape in input_shape)
    shapes = list(input_shape) if several else [input_shape]
    if not all(map(_is_shape, shapes)):
        example = "; write (3,) for one dimension" if isinstance(input_shape, int) else ""
        raise TypeError(
            "input_shape must be a tuple of integers >= 0 such as (3, 224, 224), or several of "
            f"these, got {input_shape!r}{example}"
        )
    return shapes


def _is_shape(shape: object) -> bool:
    return isinstance(shape, tuple | list) and all(
        isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 0
        for size in shape
    )
