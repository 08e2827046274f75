"""Count floating-point operations and activations of a model."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from engine_model.analysis._analyzer import OperatorAnalyzer, in_unit
from engine_model.analysis._formulas import ACTIVATIONS, FLOPS, PRODUCTS, Handle
from engine_model.analysis._record import Recording, record


class FlopAnalyzer(OperatorAnalyzer):
    """Count the floating-point operations of one forward pass, by module and by operator.

    A multiplication with an addition is one operation, as in many papers. `measure_cost`, the
    summary of a run and `torch.utils.flop_counter` count two. Counted are convolutions, products of
    matrices, attention and recurrent layers, and, as estimates, normalization and resampling.
    Element-wise operators have no handle, and are logged once as a warning.

    Args:
        model: The model, without a wrapper for several devices.
        inputs: Its input; a tuple of positional inputs; or a dict of named ones.

    Raises:
        TypeError: The model is a `DataParallel` or `DistributedDataParallel`.
        ValueError: A parameter has no shape yet.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Conv2d(3, 10, 1), nn.Flatten(), nn.Linear(1000, 10))
        >>> flops = FlopAnalyzer(model, torch.zeros(1, 3, 10, 10))
        >>> flops.total(), flops.total("2")
        (13000, 10000)
        >>> flops.by_operator()
        Counter({'linear': 10000, 'conv': 3000})
        >>> flops.set_op_handle("aten::linear", None).by_operator()
        Counter({'conv': 3000})
    """

    handles = FLOPS


class ActivationAnalyzer(OperatorAnalyzer):
    """Count the activations of one forward pass, by module and by operator.

    These are the elements of the outputs of convolutions, products of matrices, attention and
    recurrent layers. Other operators have no handle; they are not logged.

    Args:
        model: The model, without a wrapper for several devices.
        inputs: Its input; a tuple of positional inputs; or a dict of named ones.

    Raises:
        TypeError: The model is a `DataParallel` or `DistributedDataParallel`.
        ValueError: A parameter has no shape yet.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Conv2d(3, 10, 1), nn.Flatten(), nn.Linear(1000, 10))
        >>> ActivationAnalyzer(model, torch.zeros(1, 3, 10, 10)).by_operator()
        Counter({'conv': 1000, 'linear': 10})
    """

    handles = ACTIVATIONS
    warns_of_unsupported = False


def count_both(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Recording, FlopAnalyzer, ActivationAnalyzer]:
    """Return the operators of one run of the model, and analyzers of its products without warnings.

    Args:
        model: The model.
        args: The positional inputs.
        kwargs: The named inputs.
    """
    recording = record(model, args, kwargs)
    flops, activations = FlopAnalyzer.of(recording, PRODUCTS), ActivationAnalyzer.of(recording)
    return recording, flops, activations


def flop_count(
    model: nn.Module,
    inputs: Tensor | tuple[Any, ...] | dict[str, Any],
    supported_ops: Mapping[str, Handle] | None = None,
) -> tuple[defaultdict[str, float], Counter[str]]:
    """Count the operations of one forward pass, in units of 1e9.

    Args:
        model: The model.
        inputs: Its input; a tuple of positional inputs; or a dict of named ones.
        supported_ops: Handles by name, which replace those of `FlopAnalyzer` or are added.

    Returns:
        The counts by operator, and how often each operator ran that has no handle.

    Example:
        >>> import torch
        >>> flop_count(nn.Linear(1000, 1000), torch.zeros(1, 1000))[0]["linear"]
        0.001
    """
    analyzer = FlopAnalyzer(model, inputs).set_op_handle(**(supported_ops or {}))
    return in_unit(analyzer, 1e9)


def activation_count(
    model: nn.Module,
    inputs: Tensor | tuple[Any, ...] | dict[str, Any],
    supported_ops: Mapping[str, Handle] | None = None,
) -> tuple[defaultdict[str, float], Counter[str]]:
    """Count the activations of one forward pass, in units of 1e6.

    Args:
        model: The model.
        inputs: Its input; a tuple of positional inputs; or a dict of named ones.
        supported_ops: Handles by name, which replace those of `ActivationAnalyzer` or are added.

    Returns:
        The counts by operator, and how often each operator ran that has no handle.

    Example:
        >>> import torch
        >>> activation_count(nn.Linear(10, 1000), torch.zeros(1, 10))[0]["linear"]
        0.001
    """
    analyzer = ActivationAnalyzer(model, inputs).set_op_handle(**(supported_ops or {}))
    return in_unit(analyzer, 1e6)
