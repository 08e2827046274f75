"""Count the floating-point operations of an iteration, forward and backward."""

from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Shape = list[int]


class OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types here
    """Count the operations of matrix products, convolutions and attention while it is active.

    A multiplication with an addition is two operations, as in the peaks of devices. The formulas
    are those of `torch.utils.flop_counter`, but for the backward pass of grouped convolutions,
    which has too many operations there. Its `FlopCounterMode` also follows the modules, and so
    fails where a model calls `torch.autograd.grad`, and on nested tensors.

    Attributes:
        flops: The operations so far.
        skipped: Whether there were nested tensors, whose operations are not counted.

    Example:
        >>> with OperationCounter() as counter:
        ...     product = torch.zeros(2, 3) @ torch.zeros(3, 4)
        >>> counter.flops
        48
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types here
        # Imported here, because it loads the compiler where that is installed.
        from torch.utils.flop_counter import flop_registry

        self._formulas: dict[Any, Any] = dict(flop_registry)
        self.flops = 0
        self.skipped = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if isinstance(func, torch._ops.HigherOrderOperator):
            return NotImplemented
        kwargs = kwargs or {}
        if any(isinstance(one, Tensor) and one.is_nested for one in tree_leaves((args, kwargs))):
            self.skipped = True
            return func(*args, **kwargs)
        packet = func._overloadpacket
        if packet not in self._formulas:
            with self:  # without gradients, a composite operator arrives as a whole
                result = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if result is NotImplemented else result
        result = func(*args, **kwargs)
        if packet is torch.ops.aten.convolution_backward:
            self.flops += _convolution_backward(*args)
        else:
            self.flops += int(self._formulas[packet](*args, **kwargs, out_val=result))
        return result


def _convolution_backward(
    grad_output: Tensor, inputs: Tensor, weight: Tensor, *options: Any
) -> int:
    """Count the gradients of the input and the weight, of which each costs a forward pass."""
    transposed, wanted = options[4], options[7]
    positions = (inputs if transposed else grad_output).shape[2:]
    once: int = 2 * inputs.shape[0] * prod(positions) * weight.numel()
    return once * (int(wanted[0]) + int(wanted[1]))
