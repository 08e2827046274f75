from typing import Sequence

import numpy as np
import torch

from mmtoy.registry import TRANSFORMS
from mmtoy.structures import ToyDataSample

from .base import BaseTransform


@TRANSFORMS.register_module()
class PackToyInputs(BaseTransform):
    """Pack a picture and its label.

    Required Keys: `img`, `gt_label` (optional), and those of `meta_keys` (optional).

    Returns a dict of `inputs`, of shape (C, H, W), and `data_samples`.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = ("sample_idx", "img_path", "ori_shape", "img_shape", "flip"),
    ) -> None:
        self.meta_keys = meta_keys

    def transform(self, results: dict) -> dict:
        img = np.ascontiguousarray(results["img"].transpose(2, 0, 1))
        data_sample = ToyDataSample()
        if "gt_label" in results:
            data_sample.set_gt_label(results["gt_label"])
        data_sample.set_metainfo({k: results[k] for k in self.meta_keys if k in results})
        return dict(inputs=torch.from_numpy(img), data_samples=data_sample)
