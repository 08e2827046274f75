from typing import Optional

import numpy as np
from mmengine.dist import master_only
from mmengine.visualization import Visualizer

from mmtoy.registry import VISUALIZERS
from mmtoy.structures import ToyDataSample


@VISUALIZERS.register_module()
class ToyVisualizer(Visualizer):
    """Draw pictures with their labels.

    Args:
        name (str): Name of the instance. Defaults to 'visualizer'.
        scale (int): How much larger the pictures are drawn. Defaults to 8.
    """

    def __init__(self, name: str = "visualizer", scale: int = 8, **kwargs) -> None:
        super().__init__(name=name, **kwargs)
        self.scale = scale

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: Optional[ToyDataSample] = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: Optional[str] = None,
        step: int = 0,
    ) -> np.ndarray:
        """Draw a picture, and save it to the backends, or to a file, or show it."""
        classes = (self.dataset_meta or {}).get("classes")
        image = np.kron(image, np.ones((self.scale, self.scale, 1), dtype=image.dtype))
        self.set_image(image)
        texts = []
        if draw_gt and data_sample is not None and "gt_label" in data_sample:
            texts.append(("Ground truth", int(data_sample.gt_label.label)))
        if draw_pred and data_sample is not None and "pred_label" in data_sample:
            texts.append(("Prediction", int(data_sample.pred_label.label)))
        for row, (kind, label) in enumerate(texts):
            text = f"{kind}: {label if classes is None else classes[label]}"
            self.ax_save.text(2, 2 + 10 * row, text, fontsize=6, color="w", verticalalignment="top")
        drawn_img = self.get_image()
        if show:
            self.show(drawn_img, win_name=name, wait_time=wait_time)
        if out_file is not None:
            np.save(out_file, drawn_img)
        else:
            self.add_image(name, drawn_img, step=step)
        return drawn_img
