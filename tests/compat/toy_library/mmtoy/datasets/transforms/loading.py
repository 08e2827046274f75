import io
from typing import Optional

import mmengine.fileio as fileio
import numpy as np

from mmtoy.registry import TRANSFORMS

from .base import BaseTransform


@TRANSFORMS.register_module()
class LoadToyImage(BaseTransform):
    """Load a picture of shape (H, W, 1) from a `.npy` file.

    Required Keys: `img_path`, or `img` of a picture that is loaded already.

    Added Keys: `img`, `img_shape`, `ori_shape`.
    """

    def __init__(self, to_float32: bool = False, backend_args: Optional[dict] = None) -> None:
        self.to_float32 = to_float32
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        img = results.get("img")
        if img is None:
            img_bytes = fileio.get(results["img_path"], backend_args=self.backend_args)
            img = np.load(io.BytesIO(img_bytes))
        if img.ndim == 2:
            img = img[..., None]
        if self.to_float32:
            img = img.astype(np.float32)
        results["img"] = img
        results["img_shape"] = img.shape[:2]
        results["ori_shape"] = img.shape[:2]
        return results

    def __repr__(self):
        return f"{self.__class__.__name__}(to_float32={self.to_float32})"
