import copy
import itertools
from typing import List, Optional

import numpy as np
from mmengine.dataset import Compose

from mmtoy.registry import TRANSFORMS

from .base import BaseTransform


@TRANSFORMS.register_module()
class ToyRandomFlip(BaseTransform):
    """Flip a picture from left to right.

    Modified Keys: `img`. Added Keys: `flip`.
    """

    def __init__(self, prob: float = 0.5) -> None:
        assert 0 <= prob <= 1, f"prob must be in [0, 1], got {prob}"
        self.prob = prob

    def transform(self, results: dict) -> dict:
        results["flip"] = bool(np.random.rand() < self.prob)
        if results["flip"]:
            results["img"] = results["img"][:, ::-1].copy()
        return results


@TRANSFORMS.register_module()
class ToyTestTimeAug(BaseTransform):
    """Make several views of a picture: each combination of the transforms.

    Args:
        transforms (list[list[dict]]): One list for each step, with the alternatives of the step.
    """

    def __init__(self, transforms: List[List[dict]]) -> None:
        for step in transforms:
            assert isinstance(step, list), "All elements of `transforms` should be lists"
        self.subroutines = [Compose(list(chosen)) for chosen in itertools.product(*transforms)]

    def transform(self, results: dict) -> Optional[dict]:
        results_list = []
        for subroutine in self.subroutines:
            result = subroutine(copy.deepcopy(results))
            if result is None:
                return None
            results_list.append(result)
        return {key: [result[key] for result in results_list] for key in results_list[0]}
