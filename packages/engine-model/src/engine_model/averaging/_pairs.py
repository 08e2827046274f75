"""Match the tensors of an average with those of its model, once for many updates."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from engine_model._sharded_tensors import local_parts

# Only tensors of other types, such as DTensor, may be sharded.
_PLAIN = (Tensor, nn.Parameter)
_USES = 100
Pair = tuple[list[Tensor], list[Tensor]]
"""Tensors of the average, and of the model."""
Groups = dict[tuple[torch.device, torch.dtype], Pair]


class TensorPairs:
    """The tensors of an average and of a model that are averaged, and those that are copied.

    Walking through the modules takes longer than the update itself, so the result is kept.

    Args:
        average: The averaged copy.
        model: The model.
        chosen: Called with the position of a buffer; returns whether it is averaged.

    Attributes:
        model: The model.
        copied: The buffers that are copied.

    Raises:
        ValueError: The parameters or buffers differ in number or shape.

    Example:
        >>> pairs = TensorPairs(nn.Linear(2, 1), nn.Linear(2, 1), lambda place: False)
        >>> [len(ours) for ours, theirs in pairs.groups().values()], pairs.are_current()
        ([2], True)
    """

    def __init__(self, average: nn.Module, model: nn.Module, chosen: Callable[[int], bool]) -> None:
        ours, theirs = _matched(average, model, "parameters")
        buffers = _matched(average, model, "buffers")
        more, others = _divided(buffers, chosen)
        self.model = model
        self.copied: Pair = others
        self._averaged: Pair = ([*ours, *more[0]], [*theirs, *more[1]])
        self._places = [*_places(average), *_places(model)]
        self._parts = list(_parts(model))
        self._uses = 0
        pairs = zip(*self._averaged, strict=True)
        alike = all(type(one) in _PLAIN and _kind(one) == _kind(other) for one, other in pairs)
        plain = all(type(source) in _PLAIN for source in self._averaged[1])
        self._groups = _grouped(*self._averaged) if alike and plain else None

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy of the average must not copy the model.
        return type(None), ()

    def are_current(self) -> bool:
        """Return whether the modules still have these tensors.

        A parameter that is added later is found only when the pairs are made anew. So the result
        is false after a number of uses.
        """
        self._uses += 1
        if self._uses > _USES:
            return False
        for holder, name, tensor, dtype, index in self._places:
            # `nn.Module.to` keeps the parameter, and changes its device and data type.
            if (
                holder.get(name) is not tensor
                or tensor.dtype is not dtype
                or tensor.get_device() != index
            ):
                return False
        # A module that replaces another one has tensors of its own.
        return all(modules.get(name) is part for modules, name, part in self._parts)

    def groups(self) -> Groups:
        """Return the tensors to average, by device and data type of the average.

        A multi-tensor operation of torch runs as one kernel only within such a group.
        """
        return _grouped(*self._averaged) if self._groups is None else self._groups


_Place = tuple[dict[str, Tensor | None], str, Tensor, torch.dtype, int]


def _places(module: nn.Module) -> Iterator[_Place]:
    """Yield where a module has each tensor, with its data type and the index of its device."""
    for part in module.modules():
        for holder in (part._parameters, part._buffers):
            for name, tensor in holder.items():
                if tensor is not None:
                    yield holder, name, tensor, tensor.dtype, tensor.get_device()  # type: ignore[misc]  # values of a dict of parameters


def _parts(model: nn.Module) -> Iterator[tuple[dict[str, nn.Module | None], str, nn.Module | None]]:
    """Yield where a model has each of its modules."""
    for part in model.modules():
        for name, inner in part._modules.items():
            yield part._modules, name, inner


def _kind(tensor: Tensor) -> tuple[torch.device, torch.dtype]:
    return tensor.device, tensor.dtype


def _matched(average: nn.Module, model: nn.Module, what: Literal["parameters", "buffers"]) -> Pair:
    """Return the parameters or buffers of both, in the same order.

    Raises:
        ValueError: The tensors differ in number or shape.
    """
    ours, theirs = (list(getattr(module, what)()) for module in (average, model))
    if len(ours) != len(theirs):
        raise ValueError(
            f"the model has {len(theirs)} {what}, but the averaged copy has {len(ours)}; "
            f"update the average with the model that it copied"
        )
    for place, (tensor, source) in enumerate(zip(ours, theirs, strict=True)):
        # torch would broadcast a source of another shape without an error.
        if tensor.shape != source.shape:
            name = list(dict(getattr(average, f"named_{what}")()))[place]
            raise ValueError(
                f"{name} is {tuple(source.shape)} in the model, but {tuple(tensor.shape)} in "
                "the averaged copy; update the average with the model that it copied"
            )
    return ours, theirs


def _divided(pair: Pair, is_chosen: Callable[[int], bool]) -> tuple[Pair, Pair]:
    """Return the tensors at the chosen positions, and the others."""
    chosen: Pair = ([], [])
    others: Pair = ([], [])
    for place, (ours, theirs) in enumerate(zip(*pair, strict=True)):
        target = chosen if is_chosen(place) else others
        target[0].append(ours)
        target[1].append(theirs)
    return chosen, others


def _grouped(averages: list[Tensor], sources: list[Tensor]) -> Groups:
    """Group averages and sources by device and data type."""
    groups: Groups = {}
    for average, source in zip(averages, sources, strict=True):
        kind = _kind(average)
        # Compare exact types: isinstance would accept subclasses such as DTensor.
        if type(average) not in _PLAIN or type(source) not in _PLAIN:
            average, source = local_parts(average, source)
        if _kind(source) != kind:
            source = source.to(average)
        group = groups.setdefault(kind, ([], []))
        group[0].append(average)
        group[1].append(source)
    return groups
