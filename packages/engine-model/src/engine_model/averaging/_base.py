"""Running averages of a model's parameters: what all of them share."""

import copy
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from engine_model._dtensor import is_sharded, local_parts

_PLAIN = (Tensor, nn.Parameter)


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
        self._checked = 0

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
        if self._checked != id(model):
            _check_shapes(self.module, model)
            self._checked = id(model)
        steps = self._count()
        self._update_parameters(model, steps)
        if not self.update_buffers:
            averages, sources = _matched(self.module.buffers(), model.buffers(), "buffers")
            if averages:
                torch._foreach_copy_(averages, sources)
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

    def _update_parameters(self, model: nn.Module, steps: int) -> None:
        if steps % self.interval:
            return
        averages, sources = _matched(self.module.parameters(), model.parameters(), "parameters")
        if self.update_buffers:
            more = _matched(self.module.buffers(), model.buffers(), "buffers")
            averages, sources = averages + more[0], sources + more[1]
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


def _check_shapes(average: nn.Module, model: nn.Module) -> None:
    """Refuse another model, whose values torch might spread over an average of another shape.

    Raises:
        ValueError: If its parameters or buffers differ in number or shape.
    """
    for what, ours, theirs in (
        ("parameters", average.named_parameters(), model.parameters()),
        ("buffers", average.named_buffers(), model.buffers()),
    ):
        names = dict(ours)
        _, sources = _matched(names.values(), theirs, what)
        for (name, tensor), source in zip(names.items(), sources, strict=True):
            if tensor.shape != source.shape:
                raise ValueError(
                    f"{name} is {tuple(source.shape)} in the model, but {tuple(tensor.shape)} in "
                    "the averaged copy: update it with the model that it was made from"
                )


def _matched(
    averages: Iterable[Tensor], sources: Iterable[Tensor], what: str
) -> tuple[list[Tensor], list[Tensor]]:
    """Return both as lists of one length.

    Raises:
        ValueError: If there is not a source for each average.
    """
    ours, theirs = list(averages), list(sources)
    if len(ours) != len(theirs):
        raise ValueError(
            f"the model has {len(theirs)} {what}, but the averaged copy has {len(ours)}: "
            f"update it with the model that it was made from"
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
