"""The instances of a sample: fields of equal length, which are indexed and joined together."""

import itertools
import operator
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch

from engine_structures._convert import as_integer
from engine_structures._element import BaseDataElement
from engine_structures._errors import FieldTypeError, FieldValueError


class InstanceData(BaseDataElement):
    """Annotations or predictions of the instances in a sample: fields of equal length.

    A field holds a tensor, array, list, tuple, string, another `InstanceData`, or any object with
    ``__len__``, ``__getitem__`` and a static method ``cat``.

    Example:
        >>> found = InstanceData(scores=torch.tensor([0.9, 0.2]), names=["cat", "dog"])
        >>> found[found.scores > 0.5].names
        ['cat']
        >>> found[found.scores.argsort()].names
        ['dog', 'cat']
        >>> len(InstanceData.cat([found, found[1]]))
        3
    """

    def __len__(self) -> int:
        for name in self._data_fields:
            return len(self.__dict__[name])
        return 0

    def _fit(self, name: str, value: Any) -> Any:
        try:
            length = len(value)
        except TypeError as error:
            raise FieldTypeError(
                f"{name} must have a length, one item per instance, got {value!r}"
            ) from error
        for other in self._data_fields:
            if other != name and len(self.__dict__[other]) != length:
                raise FieldValueError(
                    f"{name} must have one item per instance, got length {length} for "
                    f"{len(self.__dict__[other])} instances (from {other})"
                )
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        """Set a field by its name."""
        if not isinstance(name, str):
            raise FieldTypeError(f"an assignment must name a field, got {name!r}")
        setattr(self, name, value)

    def __getitem__(self, item: Any) -> Any:
        """Return a field, or an element with some of the instances or fields.

        Args:
            item: One of: the name of a field, or a list of names; an integer, also as a tensor or
                array without dimensions (keeps the dimension); a slice; a mask (bool tensor, array
                or list); positions (integer tensor, array or list).

        Raises:
            KeyError: There is no such field.
            IndexError: An integer or position is out of range, or a mask has another length.
            TypeError: ``item`` is none of these.
        """
        if isinstance(item, slice):
            if item.step is not None and item.step < 0:  # tensors do not support a negative step
                return self[list(range(*item.indices(len(self))))]
            return self._converted(operator.itemgetter(item))
        if isinstance(item, str):
            return self._field(item)
        index = as_integer(item)
        if index is not None:
            return self._one(index)
        if isinstance(item, list) and item and all(isinstance(name, str) for name in item):
            return self._with([(self._stored(name), self._field(name)) for name in item])
        positions = _Positions(item, len(self))
        try:
            return self._converted(positions.pick)
        except IndexError as error:
            raise IndexError(f"a position is out of range for {len(self)} instances") from error

    def _field(self, name: str) -> Any:
        if name not in self:
            raise KeyError(f"no field {name!r}; there are {', '.join(self.all_keys()) or 'none'}")
        return getattr(self, name)

    def _stored(self, name: str) -> str:
        if name in self._metainfo_fields:
            raise KeyError(
                f"{name!r} is meta information, which every selection keeps; leave it out"
            )
        return f"_{name}" if name in self._properties else name

    def _one(self, index: int) -> Self:
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"index {index} is out of range for {length} instances")
        # A slice of length 1 keeps the dimension of every kind of value.
        index %= length
        return self._converted(operator.itemgetter(slice(index, index + 1)))

    @staticmethod
    def cat(instances_list: "Sequence[InstanceData]") -> "InstanceData":
        """Join the instances of several elements; meta information is that of the first.

        Args:
            instances_list: Elements with the same data fields; at least one. A single one is
                returned unchanged.

        Raises:
            TypeError: One of them is not `InstanceData`, or the values of a field cannot be
                joined.
            ValueError: The list is empty, or the fields or shapes differ.
        """
        for instances in instances_list:
            if not isinstance(instances, InstanceData):
                raise FieldTypeError(f"cat joins InstanceData, got {type(instances).__name__}")
        if not instances_list:
            raise FieldValueError("cat needs at least one InstanceData")
        first, *others = instances_list
        if not others:
            return first
        for other in others:
            if other._data_fields.keys() != first._data_fields.keys():
                raise FieldValueError(
                    "instances_list must have equal fields, got "
                    f"{sorted(first.keys())} and {sorted(other.keys())}"
                )
        return first._with(
            (name, _join(name, [one.__dict__[name] for one in instances_list]))
            for name in first._data_fields
        )


class _Positions:
    """Positions of instances as a tensor, array or list; each form is built once."""

    def __init__(self, item: Any, length: int) -> None:
        index = _as_tensor(item)
        if index.dim() != 1:
            raise IndexError(f"an index must have one dimension, got shape {tuple(index.shape)}")
        if index.dtype is torch.bool:
            if len(index) != length:
                raise IndexError(f"a mask must have length {length}, got {len(index)}")
            # Convert the mask to positions once: indexing with a mask would search it for each
            # field.
            index = index.nonzero().squeeze(1)
        else:
            # In the form that index_select needs, which is twice as fast as advanced indexing.
            index = index.long()
            index = torch.where(index < 0, index + length, index)
        self._by_device = {index.device: index}
        self._index = index
        self._array: np.ndarray[Any, Any] | None = None
        self._list: list[int] | None = None

    def pick(self, value: Any) -> Any:
        """Return the items of a value at the positions."""
        if isinstance(value, torch.Tensor):
            return value.index_select(0, self._on(value.device))
        if isinstance(value, np.ndarray):
            return value[self._on_host()]
        if isinstance(value, InstanceData):
            return value[self._index]
        if self._list is None:
            self._list = self._on_host().tolist()
        return _pick_items(value, self._list)

    def _on_host(self) -> np.ndarray[Any, Any]:
        if self._array is None:
            self._array = self._index.cpu().numpy()
            # index_select raises for negative positions, but arrays and lists would count from the
            # end.
            if self._array.size and self._array.min() < 0:
                raise IndexError("a position is before the first instance")
        return self._array

    def _on(self, device: torch.device) -> torch.Tensor:
        index = self._by_device.get(device)
        if index is None:
            index = self._by_device[device] = self._index.to(device)
        return index


def _as_tensor(item: Any) -> torch.Tensor:
    if isinstance(item, list):
        # NumPy would convert an empty list to an array of floats.
        item = np.array(item, dtype=None if item else np.int64)
    if isinstance(item, np.ndarray) and item.dtype.kind in "bi":
        item = torch.from_numpy(item)
    # uint8 is excluded as ambiguous: old versions of torch used it for masks.
    integral = (torch.bool, torch.int64, torch.int32, torch.int16, torch.int8)
    if isinstance(item, torch.Tensor) and item.dtype in integral:
        return item
    raise FieldTypeError(
        "an index must be an integer, slice, mask, positions or field names, "
        f"got {type(item).__name__} {getattr(item, 'dtype', '')}"
    )


def _pick_items(value: Any, positions: list[int]) -> Any:
    if isinstance(value, str):
        return "".join(value[index] for index in positions)
    if isinstance(value, list | tuple):
        return type(value)(value[index] for index in positions)
    # A user's class: an empty selection needs a slice, because `cat` needs at least one value.
    if not positions:
        return value[len(value) :]
    # Slices of length 1, since an integer may drop a dimension, as in a class around a tensor.
    return type(value).cat([value[index : index + 1] for index in positions])


def _join(name: str, values: list[Any]) -> Any:
    try:
        return _concatenate(values)
    except (TypeError, ValueError, RuntimeError) as error:
        kinds = ", ".join(_describe(value) for value in values)
        kind = FieldTypeError if isinstance(error, TypeError) else FieldValueError
        raise kind(f"{name} cannot be joined from {kinds}: {error}") from error


def _concatenate(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(values, dim=0)
    if isinstance(first, np.ndarray):
        return np.concatenate(values, axis=0)
    if isinstance(first, str):
        return "".join(values)
    if isinstance(first, list | tuple):
        return type(first)(itertools.chain(*values))
    if hasattr(type(first), "cat"):
        return type(first).cat(values)
    raise TypeError(f"{type(first).__name__} has no static method 'cat'")


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ + ("" if shape is None else f" {tuple(shape)}")
