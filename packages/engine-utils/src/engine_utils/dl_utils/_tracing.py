"""Detect tracing, and call functions of torch in a form that can be traced."""

from collections.abc import Sequence

import torch


def is_jit_tracing() -> bool:
    """Return whether ``torch.jit.trace`` or the ONNX exporter is running this code."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]  # untyped in torch


def torch_meshgrid(*tensors: torch.Tensor) -> Sequence[torch.Tensor]:
    """Return coordinate grids with matrix indexing, without the warning of ``torch.meshgrid``.

    Args:
        *tensors: One-dimensional tensors or scalars, one per dimension.

    Returns:
        One grid per tensor; grid ``i`` varies along dimension ``i``.

    Example:
        >>> rows, columns = torch_meshgrid(torch.arange(2), torch.arange(3))
        >>> rows.tolist()
        [[0, 0, 0], [1, 1, 1]]
    """
    return torch.meshgrid(*tensors, indexing="ij")
