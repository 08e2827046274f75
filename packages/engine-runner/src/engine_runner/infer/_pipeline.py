"""The pipeline of an inferencer: from an input of any kind to a sample."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from engine_dataset import Compose
from engine_runner.infer._inputs import may_be_picture
from engine_runner.infer._pictures import InputError, PictureCache, as_array


class OfAnyInput:
    """The pipeline, after the sample of an input.

    Args:
        pipeline: The transforms.
        pictures: Reads pictures.

    Example:
        >>> pipeline = OfAnyInput(Compose([lambda sample: sample["img"].sum()]), PictureCache())
        >>> pipeline(np.ones((2, 2, 3), dtype=np.uint8))
        np.uint64(12)
    """

    def __init__(self, pipeline: Compose, pictures: PictureCache) -> None:
        self.transforms = pipeline.transforms
        self._pipeline = pipeline
        self._pictures = pictures
        first = type(pipeline.transforms[0]).__name__ if pipeline.transforms else ""
        self._reader = first if first.startswith("Load") and "File" in first else ""

    def __call__(self, item: Any) -> Any:
        sample = self._sample(item)
        try:
            prepared = self._pipeline(sample)
        except KeyError as error:
            if error.args != ("img",) or not isinstance(item, str) or "img" in sample:
                raise
            raise InputError("no picture by its name, and the pipeline reads none") from error
        if prepared is None:
            raise InputError("the pipeline rejects it: a transform returned None")
        return prepared

    def _sample(self, item: Any) -> Any:
        if isinstance(item, str):
            if self._reader or not may_be_picture(item):
                return {"img_path": item}
            return {"img_path": item, **_fields(self._pictures.read(item).copy())}
        if isinstance(item, np.ndarray | Tensor | Image.Image):
            if self._reader:
                raise InputError(
                    f"inputs must be paths, as the transform {self._reader} of the pipeline reads "
                    f"files, got {type(item).__name__}"
                )
            return _fields(as_array(item).copy())  # a transform may change it in place
        if not isinstance(item, Mapping):
            raise InputError(
                "inputs must be paths, addresses, arrays, pictures or samples, got "
                f"{type(item).__name__}"
            )
        return dict(item)


def _fields(picture: np.ndarray) -> dict[str, Any]:
    return {"img": picture, "img_shape": picture.shape[:2], "ori_shape": picture.shape[:2]}
