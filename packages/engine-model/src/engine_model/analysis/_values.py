"""The inputs and outputs of an operator, as a handle receives them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class OpValue:
    """One input or output of an operator.

    A handle written for the values of `torch.jit.trace` runs unchanged: `type`, `sizes`,
    `isCompleteTensor`, `toIValue`, `node` and `inputs` return what these values return.

    Attributes:
        shape: The shape of a tensor; ``None`` for all else.
        values: The entries of a list of tensors.
        value: The constant, such as a stride or ``None``; ``None`` for a tensor.
        lengths: The rows of each tensor in a nested one; empty for all else.

    Example:
        >>> import torch
        >>> OpValue.of(torch.zeros(2, 3)).shape, OpValue.of([1, 1]).toIValue()
        ((2, 3), [1, 1])
    """

    shape: tuple[int, ...] | None = None
    values: tuple["OpValue", ...] = ()
    value: Any = None
    lengths: tuple[int, ...] = ()

    @classmethod
    def of(cls, value: object) -> "OpValue":
        """Return the value of an argument, without its data.

        Args:
            value: A tensor, a list of tensors, or a constant.
        """
        if isinstance(value, Tensor):
            return cls(shape=_shape(value), lengths=_lengths(value))
        if isinstance(value, list | tuple) and any(isinstance(item, Tensor) for item in value):
            return cls(values=tuple(map(cls.of, value)))
        return cls(value=value)

    @property
    def elements(self) -> int:
        """The number of elements of the tensor, or of all tensors of the list."""
        if self.shape is None:
            return sum(value.elements for value in self.values)
        count = 1
        for size in self.shape:
            count *= size
        return count

    def type(self) -> "OpValue":
        """Return the value itself, which has the `sizes` of its type."""
        return self

    def sizes(self) -> list[int] | None:
        """Return the shape as a list."""
        return None if self.shape is None else list(self.shape)

    def isCompleteTensor(self) -> bool:  # noqa: N802 - the name in torch
        """Return whether this is a tensor."""
        return self.shape is not None

    def toIValue(self) -> Any:  # noqa: N802 - the name in torch
        """Return the constant."""
        return self.value

    def node(self) -> "OpValue":
        """Return the value itself, which has the `inputs` of its node."""
        return self

    def inputs(self) -> list["OpValue"]:
        """Return the entries of a list of tensors."""
        return list(self.values)


def _lengths(tensor: Tensor) -> tuple[int, ...]:
    """Return the numbers of rows of the tensors in a nested one."""
    if not tensor.is_nested or tensor.layout is torch.jagged:
        return ()
    return tuple(tensor._nested_tensor_size()[:, :-1].prod(dim=1).tolist())


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """Return the shape of a tensor; of a nested one, that of its rows one after the other."""
    if not tensor.is_nested:
        return tuple(tensor.shape)
    if tensor.layout is torch.jagged:
        rows: Any = tensor._values  # `values()` would wait for a lock of autograd
        return tuple(rows.shape)
    sizes = tensor._nested_tensor_size()  # one row per tensor, on the CPU
    count = int(sizes.prod(dim=1).sum())
    widths = set(sizes[:, -1].tolist())
    return (count // max(widths), max(widths)) if len(widths) == 1 and count else (count,)
