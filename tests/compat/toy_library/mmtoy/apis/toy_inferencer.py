from typing import Callable, List, Optional, Sequence, Union

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.infer.infer import BaseInferencer, ModelType

from mmtoy.registry import INFERENCERS
from mmtoy.structures import ToyDataSample

InputType = Union[str, np.ndarray]


@INFERENCERS.register_module()
class ToyInferencer(BaseInferencer):
    """The inferencer of classification.

    Args:
        model (str or Config, optional): A config, its path, or the name of a model in metafile.
        weights (str, optional): Path to the checkpoint.
        device (str, optional): Device to run inference.
        scope (str): The scope of the model. Defaults to 'mmtoy'.
    """

    preprocess_kwargs: set = set()
    forward_kwargs: set = set()
    visualize_kwargs: set = {"show", "draw_score", "wait_time"}
    postprocess_kwargs: set = {"top_k"}

    def __init__(
        self,
        model: Union[ModelType, str, None] = None,
        weights: Optional[str] = None,
        device: Optional[str] = None,
        scope: Optional[str] = "mmtoy",
    ) -> None:
        self.num_visualized = 0
        super().__init__(model=model, weights=weights, device=device, scope=scope)

    def _init_pipeline(self, cfg: Config) -> Callable:
        pipeline_cfg = cfg.test_dataloader.dataset.pipeline
        idx = next(i for i, step in enumerate(pipeline_cfg) if "Load" in str(step["type"]))
        load = Compose(pipeline_cfg[idx : idx + 1])
        rest = Compose(pipeline_cfg[idx + 1 :])

        def pipeline(single_input: InputType) -> dict:
            key = "img_path" if isinstance(single_input, str) else "img"
            return rest(load({key: single_input}))

        return pipeline

    def _inputs_to_list(self, inputs: Union[InputType, Sequence[InputType]]) -> List[InputType]:
        return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]

    def visualize(
        self,
        inputs: List[InputType],
        preds: List[ToyDataSample],
        show: bool = False,
        wait_time: int = 0,
        draw_score: bool = False,
    ) -> Optional[List[np.ndarray]]:
        if not show and not draw_score:
            return None
        drawn = []
        for single_input, pred in zip(inputs, preds):
            image = np.load(single_input) if isinstance(single_input, str) else single_input
            image = np.repeat(image[..., None], 3, axis=2)
            name = f"{self.num_visualized:08}"
            drawn.append(self.visualizer.add_datasample(name, image, pred, show=show))
            self.num_visualized += 1
        return drawn

    def postprocess(
        self,
        preds: List[ToyDataSample],
        visualization: Optional[List[np.ndarray]],
        return_datasample: bool = False,
        top_k: int = 1,
    ) -> dict:
        if return_datasample:
            return dict(predictions=preds, visualization=visualization)
        classes = self.visualizer.dataset_meta["classes"]
        predictions = []
        for pred in preds:
            scores, labels = pred.pred_label.score.topk(top_k)
            predictions.append(
                dict(
                    pred_class=classes[int(labels[0])],
                    pred_labels=labels.tolist(),
                    pred_scores=scores.tolist(),
                )
            )
        return dict(predictions=predictions, visualization=visualization)
