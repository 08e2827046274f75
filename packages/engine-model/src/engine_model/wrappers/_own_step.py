"""Check that a model with its own training step keeps equal weights on all ranks."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from engine_dist import all_reduce, broadcast
from engine_model._model import BaseModel


def has_own_step(module: nn.Module) -> bool:
    """Return whether the class of a model defines its own `train_step`.

    Args:
        module: The model.

    Example:
        >>> has_own_step(nn.Linear(1, 1))
        False
    """
    own = getattr(type(module), "train_step", None)
    return own is not None and own is not BaseModel.train_step


class EqualWeights:
    """Compare the weights of all ranks after the first update, and raise if they differ.

    A training step that calls its parts instead of the model bypasses the wrapper: then no
    gradient is averaged, and the ranks train different models. Equal data would hide that, so the
    comparison is repeated until a step has called the wrapper on every rank.

    Args:
        module: The model, with equal weights on all ranks.

    Attributes:
        done: Whether the weights need no further comparison.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> check = EqualWeights(model)
        >>> check.after_step(called=True)
        >>> check.done
        False
        >>> with torch.no_grad():
        ...     weight = model.weight.add_(1)
        >>> check.after_step(called=True)
        >>> check.done
        True
    """

    def __init__(self, module: nn.Module) -> None:
        self.done = False
        self._module = module
        self._versions = self._current_versions()

    def after_step(self, called: bool, group: ProcessGroup | None = None) -> None:
        """Compare the weights if a step has changed them; all ranks must call this.

        Args:
            called: Whether the step has called the model through its wrapper.
            group: The ranks that have the model; by default all.

        Raises:
            RuntimeError: The weights of this rank are not those of the first rank.
        """
        device = next(self._module.parameters()).device
        changed = self._versions != self._current_versions()
        # The ranks decide together, as the comparison is a collective.
        flags = torch.tensor([changed, not called], dtype=torch.int64, device=device)
        all_reduce(flags, "max", group)
        some_changed, some_bypassed = flags.tolist()
        if not some_changed:
            return
        differing = self._differing(group)
        count = torch.tensor(len(differing), device=device)
        all_reduce(count, "max", group)
        if count.item():
            raise RuntimeError(_message(self._module, differing))
        self.done = not some_bypassed
        self._versions = self._current_versions()

    def _current_versions(self) -> list[int]:
        return [parameter._version for parameter in self._module.parameters()]

    def _differing(self, group: ProcessGroup | None) -> list[str]:
        return [
            name
            for name, parameter in self._module.named_parameters()
            if parameter.requires_grad and not _equal(parameter.detach(), group)
        ]


def _equal(weight: Tensor, group: ProcessGroup | None) -> bool:
    """Return whether a tensor is equal to that of the first rank; NaN is equal to NaN."""
    first = weight.clone()
    broadcast(first, group=group, group_src=0)
    same: Any = (weight == first) | ((weight != weight) & (first != first))
    return bool(same.all())


def _message(module: nn.Module, differing: list[str]) -> str:
    names = f"{differing[0]!r}" if differing else "weights"
    more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
    return (
        f"train_step of {type(module).__name__} must call the model itself, self(...), for each "
        f"loss, got different weights on the ranks after an update: {names}{more}; a call of a "
        "part, such as self.backbone(...), bypasses the wrapper, which averages gradients. Move "
        "these calls into forward, or set "
        "model_wrapper_cfg=dict(type='MMSeparateDistributedDataParallel'), which wraps each part"
    )
