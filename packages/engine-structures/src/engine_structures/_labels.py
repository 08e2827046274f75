"""Labels of a whole sample."""

import torch

from engine_structures._element import BaseDataElement
from engine_structures._errors import FieldTypeError, FieldValueError


class LabelData(BaseDataElement):
    """Annotations or predictions of the sample as a whole, such as its classes.

    Example:
        >>> data = LabelData(label=torch.tensor([0, 2]))
        >>> LabelData.label_to_onehot(data.label, num_classes=4)
        tensor([1, 0, 1, 0])
    """

    @staticmethod
    def label_to_onehot(label: torch.Tensor, num_classes: int) -> torch.Tensor:
        """Convert class indices to a vector with ones at these positions.

        Args:
            label: Indices of classes, shape ``(n,)`` or ``()``, of an integer dtype.
            num_classes: The number of classes.

        Returns:
            Zeros and ones of the same dtype, shape ``(num_classes,)``.

        Raises:
            TypeError: ``label`` is not a tensor of integers.
            ValueError: ``label`` has more than one dimension, or an index is not a class.
        """
        if not isinstance(label, torch.Tensor) or label.is_floating_point():
            raise FieldTypeError(f"label must be a tensor of class indices, got {label!r}")
        if label.dim() > 1:
            raise FieldValueError(f"label must have shape (n,), got {tuple(label.shape)}")
        indices = label.reshape(-1).long()
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < num_classes:
            raise FieldValueError(
                f"label must hold classes from 0 to {num_classes - 1}, got {indices.tolist()}"
            )
        # Not `one_hot`, which always returns int64: the result must have the label's dtype and
        # device.
        onehot = label.new_zeros(num_classes)
        onehot[indices] = 1
        return onehot

    @staticmethod
    def onehot_to_label(onehot: torch.Tensor) -> torch.Tensor:
        """Convert a vector of zeros and ones to the indices of the ones.

        Args:
            onehot: Zeros and ones, shape ``(num_classes,)``.

        Returns:
            Class indices, ascending, int64, shape ``(n,)``.

        Raises:
            TypeError: ``onehot`` is not a tensor.
            ValueError: ``onehot`` does not have one dimension, or has values other than 0 and 1.
        """
        if not isinstance(onehot, torch.Tensor):
            raise FieldTypeError(f"onehot must be a tensor, got {type(onehot).__name__}")
        if onehot.dim() != 1:
            raise FieldValueError(
                f"onehot must have shape (num_classes,), got {tuple(onehot.shape)}"
            )
        if not bool(((onehot == 0) | (onehot == 1)).all()):
            raise FieldValueError("onehot must hold zeros and ones only")
        return onehot.nonzero().squeeze(-1)
