"""Divide the state of an optimizer among the ranks, by the optimizer's name."""

import warnings
from collections.abc import Iterable
from typing import Any

from torch import Tensor, distributed

from engine_dist import is_main_process
from engine_registry import OPTIMIZERS

with warnings.catch_warnings():
    # torch compiles its other optimizers with torch.jit.script there, which it has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch.distributed.optim import ZeroRedundancyOptimizer as _ZeroRedundancyOptimizer


class ZeroRedundancyOptimizer(_ZeroRedundancyOptimizer):
    """Keep a part of the optimizer's state per rank, as stage 1 of ZeRO does.

    Each rank updates its part of the parameters, and sends them to the others. It is
    `torch.distributed.optim.ZeroRedundancyOptimizer`, with the name of the optimizer in place of
    its class, so that a config can choose it. ``FSDPStrategy`` of engine-runner also shards the
    gradients and the weights.

    Args:
        params: The parameters, or groups of them.
        optimizer_type: The optimizer of each part: a name in `OPTIMIZERS`, such as ``"AdamW"``, or
            a class.
        **kwargs: Arguments of that optimizer and of torch's class, such as
            ``parameters_as_bucket_view``.

    Raises:
        RuntimeError: There is no process group.
        TypeError: ``optimizer_type`` is not the name of a class.

    Example:
        >>> import torch
        >>> ZeroRedundancyOptimizer(torch.nn.Linear(1, 1).parameters(), "SGD", lr=0.1)
        Traceback (most recent call last):
        ...
        RuntimeError: ZeroRedundancyOptimizer needs a process group...
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        optimizer_type: str | type,
        **kwargs: Any,
    ) -> None:
        if not (distributed.is_available() and distributed.is_initialized()):
            raise RuntimeError(
                "ZeroRedundancyOptimizer needs a process group, and this process has none; start "
                f"the run with a launcher, or use the optimizer {optimizer_type!r} itself"
            )
        kind = (
            OPTIMIZERS.in_default_scope().get(optimizer_type)
            if isinstance(optimizer_type, str)
            else optimizer_type
        )
        if not isinstance(kind, type):
            raise TypeError(
                "optimizer_type must be the name of an optimizer class, such as 'AdamW', got "
                f"{optimizer_type!r}"
            )
        super().__init__(params, optimizer_class=kind, **kwargs)

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state on the main rank, and an empty one on the others.

        All ranks must call it, as the main rank gathers their parts.
        """
        self.consolidate_state_dict(to=0)
        return super().state_dict() if is_main_process() else {}
