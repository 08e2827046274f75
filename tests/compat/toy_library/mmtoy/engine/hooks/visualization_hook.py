import math
from typing import Optional, Sequence

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.visualization import Visualizer

from mmtoy.registry import HOOKS
from mmtoy.structures import ToyDataSample


@HOOKS.register_module()
class ToyVisualizationHook(Hook):
    """Draw predictions of validation and test.

    Args:
        enable (bool): Whether to draw. Defaults to False.
        interval (int): Draw each so many pictures. Defaults to 8.
    """

    def __init__(self, enable: bool = False, interval: int = 8, **draw_args) -> None:
        self._visualizer: Visualizer = Visualizer.get_current_instance()
        self.enable = enable
        self.interval = interval
        self.draw_args = draw_args

    def _draw_samples(
        self, batch_idx: int, data_batch: dict, outputs: Sequence[ToyDataSample], step: int
    ) -> None:
        if not self.enable:
            return
        batch_size = len(outputs)
        start_idx = batch_size * batch_idx
        first_sample_id = math.ceil(start_idx / self.interval) * self.interval
        for sample_id in range(first_sample_id, start_idx + batch_size, self.interval):
            image = data_batch["inputs"][sample_id - start_idx]
            image = np.repeat(image.numpy().transpose(1, 2, 0), 3, axis=2)
            self._visualizer.add_datasample(
                f"sample_{sample_id}",
                image=image,
                data_sample=outputs[sample_id - start_idx],
                step=step,
                **self.draw_args,
            )

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Optional[Sequence] = None
    ) -> None:
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        step = runner.epoch if by_epoch else runner.iter
        self._draw_samples(batch_idx, data_batch, outputs, step=step)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Optional[Sequence] = None
    ) -> None:
        self._draw_samples(batch_idx, data_batch, outputs, step=0)
