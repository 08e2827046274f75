import torch.nn as nn
import torch.nn.functional as F

from mmtoy.registry import MODELS


@MODELS.register_module(name=["ToyCrossEntropyLoss", "ToyCELoss"])
class ToyCrossEntropyLoss(nn.Module):
    """Cross entropy with a weight.

    Args:
        loss_weight (float): Weight of the loss. Defaults to 1.0.
        label_smooth (float): Smoothing of the labels. Defaults to 0.0.
    """

    def __init__(self, loss_weight: float = 1.0, label_smooth: float = 0.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.label_smooth = label_smooth

    def forward(self, cls_score, label, avg_factor=None):
        loss = F.cross_entropy(cls_score, label, label_smoothing=self.label_smooth)
        return self.loss_weight * loss
