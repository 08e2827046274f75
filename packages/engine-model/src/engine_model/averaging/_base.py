"""Running averages of a model's parameters: what all of them share."""

import copy
from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from engine_model._dtensor import is_sharded, local_parts

_PLAIN = (Tensor, nn.Parameter)
_Matched = tuple[list[Tensor], list[Tensor]]  # of the average, and of the model


class BaseAveragedModel(nn.Module, metaclass=ABCMeta):
    """A copy of a model whose parameters are an average over the updates of that model.

    A subclass implements `avg_func`. The first update copies the parameters; from then on, each
    ``interval``-th update averages. The average needs no gradients.

    Args:
        model: The model to copy.
        interval: How many calls of `update_parameters` there are to one average.
        device: Where to keep the copy; by default where the model is.
        update_buffers: Whether floating-point buffers are averaged as parameters are. Otherwise
            every update copies all buffers of the model.

    Attributes:
        module: The averaged copy.
        steps: How often `update_parameters` was called, as a tensor that is saved with the rest.

    Raises:
        TypeError: If ``model`` is sharded.
        ValueError: If ``interval`` is below 1.

    Example:
        >>> class Greatest(BaseAveragedModel):
        ...     def avg_func(self, averaged_param, source_param, steps):
        ...         torch.maximum(averaged_param, source_param, out=averaged_param)
        >>> model = nn.Linear(1, 1, bias=False)
        >>> greatest = Greatest(model)
        >>> for value in (1.0, 3.0, 2.0):
        ...     _ = nn.init.constant_(model.weight, value)
        ...     greatest.update_parameters(model)
        >>> greatest.module.weight.item()
        3.0
    """

    steps: Tensor

    def __init__(
        self,
        model: nn.Module,
        interval: int = 1,
        device: torch.device | str | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__()
        if interval < 1:
            raise ValueError(f"interval must be at least 1, not {interval}")
        sharded = [name for name, tensor in model.named_parameters() if is_sharded(tensor)]
        if sharded:
            raise TypeError(
                f"a sharded model cannot be copied, and {sharded[0]} of {type(model).__name__} is "
                "sharded; make the average of the model before it is sharded, and shard the "
                "average's `module` like it"
            )
        self.module = copy.deepcopy(model).requires_grad_(False)
        if device is not None:
            self.module.to(device)
        self.interval = interval
        self.update_buffers = update_buffers
        self.register_buffer("steps", torch.zeros((), dtype=torch.long, device=device))
        self._known = (self.steps, self.steps._version, 0)

    @abstractmethod
    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        """Update one average in place.

        Args:
            averaged_param: The average so far.
            source_param: The new value, on the same device and of the same type.
            steps: How often `update_parameters` was called before.
        """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the averaged copy."""
        return self.module(*args, **kwargs)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the present parameters of ``model`` into the average.

        If ``model`` is sharded, all ranks must call this; where the average is not sharded like it,
        its parameters are gathered.

        Args:
            model: A model of the structure of the one that was copied.

        Raises:
            ValueError: If its parameters or buffers differ in number or shape.
        """
        steps = self._count()
        is_due = steps % self.interval == 0
        averaged = [_matched(self.module, model, "parameters")] if is_due else []
        buffers = _matched(self.module, model, "buffers")
        if is_due and self.update_buffers:
            averaged.append(buffers)
        self._average(averaged, steps)
        if not self.update_buffers and buffers[0]:
            torch._foreach_copy_(*buffers)
        self.steps.add_(1)
        self._known = (self.steps, self.steps._version, steps + 1)

    def average_tensors(self, averages: list[Tensor], sources: list[Tensor], steps: int) -> None:
        """Update several averages in place; all are of one device and one type.

        Args:
            averages: The averages so far.
            sources: The new values, in the same order.
            steps: How often `update_parameters` was called before.
        """
        for average, source in zip(averages, sources, strict=True):
            self.avg_func(average, source, steps)

    def _average(self, pairs: Sequence[_Matched], steps: int) -> None:
        averages = [tensor for ours, _ in pairs for tensor in ours]
        sources = [tensor for _, theirs in pairs for tensor in theirs]
        for (_, kind), (ours, theirs) in _groups(averages, sources).items():
            if steps and (kind.is_floating_point or kind.is_complex):
                self.average_tensors(ours, theirs, steps)
            else:
                torch._foreach_copy_(ours, theirs)

    def _count(self) -> int:
        """Return ``steps`` as a number, read from the device only if others have written it."""
        tensor, version, count = self._known
        if tensor is self.steps and version == self.steps._version:
            return count
        return int(self.steps)


def _matched(
    average: nn.Module, model: nn.Module, what: Literal["parameters", "buffers"]
) -> _Matched:
    """Return the parameters or buffers of both, which torch would spread where shapes differ.

    Raises:
        ValueError: If they differ in number or shape.
    """
    ours, theirs = (list(getattr(module, what)()) for module in (average, model))
    if len(ours) != len(theirs):
        raise ValueError(
            f"the model has {len(theirs)} {what}, but the averaged copy has {len(ours)}: "
            f"update it with the model that it was made from"
        )
    for place, (tensor, source) in enumerate(zip(ours, theirs, strict=True)):
        if tensor.shape != source.shape:
            name = list(dict(getattr(average, f"named_{what}")()))[place]
            raise ValueError(
                f"{name} is {tuple(source.shape)} in the model, but {tuple(tensor.shape)} in "
                "the averaged copy: update it with the model that it was made from"
            )
    return ours, theirs


def _groups(
    averages: list[Tensor], sources: list[Tensor]
) -> dict[tuple[torch.device, torch.dtype], tuple[list[Tensor], list[Tensor]]]:
    """Sort by device and type, which torch's multi-tensor operations are fast for."""
    groups: dict[tuple[torch.device, torch.dtype], tuple[list[Tensor], list[Tensor]]] = {}
    for average, source in zip(averages, sources, strict=True):
        kind = average.device, average.dtype
        if type(average) not in _PLAIN or type(source) not in _PLAIN:
            average, source = local_parts(average, source)
        if (source.device, source.dtype) != kind:
            source = source.to(average)
        group = groups.get(kind)
        if group is None:
            groups[kind] = group = ([], [])
        group[0].append(average)
        group[1].append(source)
    return groups
