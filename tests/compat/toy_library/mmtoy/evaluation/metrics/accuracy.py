from collections import OrderedDict
from typing import Optional, Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmtoy.registry import METRICS


@METRICS.register_module()
class ToyAccuracy(BaseMetric):
    """The share of the pictures with the right label.

    Args:
        classwise (bool): Whether to return the share of each class, too. Defaults to False.
        collect_device (str): Device used for collecting results from ranks. Defaults to 'cpu'.
        prefix (str, optional): The prefix of the names. Defaults to None.
    """

    default_prefix: Optional[str] = "accuracy"

    def __init__(
        self,
        classwise: bool = False,
        collect_device: str = "cpu",
        prefix: Optional[str] = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.classwise = classwise

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Process one batch of data samples.

        Args:
            data_batch (dict): A batch of data from the dataloader.
            data_samples (Sequence[dict]): A batch of outputs from the model, as dicts.
        """
        for data_sample in data_samples:
            result = dict(
                pred_label=data_sample["pred_label"]["label"].cpu(),
                gt_label=data_sample["gt_label"]["label"].cpu(),
            )
            self.results.append(result)

    def compute_metrics(self, results: list) -> dict:
        """Compute the metrics from processed results."""
        logger: MMLogger = MMLogger.get_current_instance()
        target = torch.cat([res["gt_label"] for res in results]).numpy()
        pred = torch.cat([res["pred_label"] for res in results]).numpy()
        metrics = OrderedDict(top1=np.mean(pred == target) * 100)
        if self.classwise:
            logger.info(f"Accuracy of the classes, of {len(results)} pictures")
            for label, name in enumerate(self.dataset_meta["classes"]):
                chosen = target == label
                metrics[f"{name}_top1"] = float((pred[chosen] == label).mean() * 100)
        return metrics
