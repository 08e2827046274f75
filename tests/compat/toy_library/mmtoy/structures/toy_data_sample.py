from numbers import Number

import numpy as np
import torch
from mmengine.structures import BaseDataElement, LabelData
from mmengine.utils import is_seq_of


def format_label(value) -> torch.Tensor:
    """Convert a label of any type to a tensor of shape (1,) or (n,)."""
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    elif is_seq_of(value, Number):
        value = torch.tensor(value)
    elif isinstance(value, (int, np.integer)):
        value = torch.LongTensor([int(value)])
    elif not isinstance(value, torch.Tensor):
        raise TypeError(f"Type {type(value)} is not an available label type.")
    return value


class ToyDataSample(BaseDataElement):
    """A picture's label and prediction.

    Examples:
        >>> data_sample = ToyDataSample(metainfo=dict(img_shape=(8, 8)))
        >>> data_sample.set_gt_label(2).gt_label.label
        tensor([2])
        >>> 'gt_label' in data_sample
        True
    """

    def set_gt_label(self, value) -> "ToyDataSample":
        """Set the ground-truth label."""
        self.gt_label = LabelData(label=format_label(value), metainfo={})
        return self

    def set_pred_score(self, value: torch.Tensor) -> "ToyDataSample":
        """Set the scores of all classes, and the label of the best."""
        assert value.ndim == 1, f"The dims of score should be 1, got {value.ndim}."
        self.pred_label = LabelData(score=value, label=value.argmax(dim=0, keepdim=True).detach())
        return self

    @property
    def gt_label(self) -> LabelData:
        return self._gt_label

    @gt_label.setter
    def gt_label(self, value: LabelData):
        self.set_field(value, "_gt_label", dtype=LabelData)

    @gt_label.deleter
    def gt_label(self):
        del self._gt_label

    @property
    def pred_label(self) -> LabelData:
        return self._pred_label

    @pred_label.setter
    def pred_label(self, value: LabelData):
        self.set_field(value, "_pred_label", dtype=LabelData)

    @pred_label.deleter
    def pred_label(self):
        del self._pred_label
