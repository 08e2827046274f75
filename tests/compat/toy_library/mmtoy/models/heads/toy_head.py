from typing import Dict, List, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import normal_init

from mmtoy.registry import MODELS
from mmtoy.structures import ToyDataSample


@MODELS.register_module()
class ToyHead(BaseModule):
    """A linear layer over the features of a picture.

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Number of features.
        loss (dict): Config of the loss.
        center_weight (float): Weight of the second loss, which keeps the scores small.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        loss: dict = dict(type="ToyCrossEntropyLoss", loss_weight=1.0),
        center_weight: float = 0.01,
        init_cfg=None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.num_classes = num_classes
        self.loss_module = MODELS.build(loss)
        self.center_weight = center_weight
        self.fc = nn.Linear(in_channels, num_classes)

    def init_weights(self) -> None:
        """Initialize the weights: the layer by hand, without `init_cfg`."""
        super().init_weights()
        normal_init(self.fc, mean=0, std=0.01)

    def forward(self, feats: Tuple[torch.Tensor]) -> torch.Tensor:
        return self.fc(feats[-1])

    def loss(self, feats, data_samples: List[ToyDataSample]) -> Dict[str, torch.Tensor]:
        """Calculate losses. Only names with `loss` are summed."""
        cls_score = self(feats)
        target = torch.cat([i.gt_label.label for i in data_samples])
        losses = dict(
            loss_cls=self.loss_module(cls_score, target),
            loss_center=[self.center_weight * score.square().mean() for score in (cls_score,)],
        )
        losses["top1"] = (cls_score.argmax(dim=1) == target).float().mean() * 100
        return losses

    def predict(self, feats, data_samples: List[ToyDataSample] = None) -> List[ToyDataSample]:
        """Predict the scores, and return them in the data samples."""
        pred_scores = F.softmax(self(feats), dim=1).detach()
        if data_samples is None:
            data_samples = [ToyDataSample() for _ in range(pred_scores.size(0))]
        for data_sample, score in zip(data_samples, pred_scores):
            data_sample.set_pred_score(score)
        return data_samples
