"""Maps over the pixels of an image, which are cropped together."""

from typing import Any, Self, SupportsIndex

import numpy as np
import torch

from engine_structures._convert import as_integer
from engine_structures._element import BaseDataElement
from engine_structures._errors import FieldTypeError, FieldValueError


class PixelData(BaseDataElement):
    """Annotations or predictions for each pixel: maps of shape ``(C, H, W)`` with equal H and W.

    A map of shape ``(H, W)`` becomes ``(1, H, W)``. Two indices, for rows and columns, crop all
    maps in the same way; an integer keeps its dimension.

    Example:
        >>> data = PixelData(mask=torch.zeros(20, 40), depth=torch.zeros(3, 20, 40))
        >>> data.mask.shape
        torch.Size([1, 20, 40])
        >>> data[10:20, 5].shape
        (10, 1)
    """

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width of the maps in pixels; None where there is no map."""
        # All maps have the same height and width.
        for value in self.values():
            height, width = value.shape[-2:]
            return (int(height), int(width))
        return None

    def _fit(self, name: str, value: Any) -> Any:
        if not isinstance(value, torch.Tensor | np.ndarray):
            raise FieldTypeError(f"{name} must be a tensor or an array, got {type(value).__name__}")
        if value.ndim not in (2, 3):
            raise FieldValueError(
                f"{name} must have shape (H, W) or (C, H, W), got {tuple(value.shape)}"
            )
        for other in self._data_fields:
            if other != name and (have := self.__dict__[other].shape[-2:]) != value.shape[-2:]:
                raise FieldValueError(
                    f"{name} must have the height and width of the other maps, {tuple(have)}, "
                    f"got {tuple(value.shape[-2:])}"
                )
        return value if value.ndim == 3 else value[None]

    def __getitem__(self, item: tuple[SupportsIndex | slice, SupportsIndex | slice]) -> Self:
        """Crop all maps to the same rows and columns.

        Args:
            item: Rows and columns, each an integer (also as a tensor or array without dimensions)
                or a slice.

        Raises:
            TypeError: ``item`` is not such a pair.
            IndexError: An integer is outside the maps.
        """
        if not isinstance(item, tuple) or len(item) != 2:
            raise FieldTypeError(
                f"an index must be rows and columns, as in data[2:4, 5], got {item!r}"
            )
        shape = self.shape or (0, 0)
        rows, columns = (_as_slice(one, size) for one, size in zip(item, shape, strict=True))
        return self._converted(lambda value: value[:, rows, columns])


def _as_slice(item: SupportsIndex | slice, size: int) -> slice:
    if isinstance(item, slice):
        return item
    index = as_integer(item)
    if index is None:
        raise FieldTypeError(f"rows and columns must be integers or slices, got {item!r}")
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of range for {size} pixels")
    # A slice of length 1 keeps the dimension.
    start = index % size
    return slice(start, start + 1)
