from typing import List, Optional

import torch
from mmengine.model import BaseModel

from mmtoy.registry import MODELS
from mmtoy.structures import ToyDataSample


@MODELS.register_module()
class ToyClassifier(BaseModel):
    """A backbone, a neck and a head.

    Args:
        backbone (dict): The config of the backbone.
        neck (dict, optional): The config of the neck.
        head (dict, optional): The config of the head.
        data_preprocessor (dict, optional): The config for preprocessing input data.
        init_cfg (dict, optional): The config to control the initialization.
    """

    def __init__(
        self,
        backbone: dict,
        neck: Optional[dict] = None,
        head: Optional[dict] = None,
        data_preprocessor: Optional[dict] = None,
        init_cfg: Optional[dict] = None,
    ) -> None:
        if data_preprocessor is None:
            data_preprocessor = {}
        data_preprocessor.setdefault("type", "ToyDataPreprocessor")
        super().__init__(init_cfg=init_cfg, data_preprocessor=MODELS.build(data_preprocessor))
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        if head is not None:
            self.head = MODELS.build(head)

    @property
    def with_neck(self) -> bool:
        return hasattr(self, "neck") and self.neck is not None

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: Optional[List[ToyDataSample]] = None,
        mode: str = "tensor",
    ):
        """The unified entry for a forward process in both training and test.

        Args:
            inputs (torch.Tensor): The input tensor with shape (N, C, H, W).
            data_samples (list[ToyDataSample], optional): The annotations.
            mode (str): "tensor", "predict" or "loss". Defaults to "tensor".
        """
        if mode == "tensor":
            feats = self.extract_feat(inputs)
            return self.head(feats) if hasattr(self, "head") else feats
        if mode == "loss":
            return self.loss(inputs, data_samples)
        if mode == "predict":
            return self.predict(inputs, data_samples)
        raise RuntimeError(f'Invalid mode "{mode}". Only supports loss, predict and tensor mode')

    def extract_feat(self, inputs: torch.Tensor):
        x = self.backbone(inputs)
        return self.neck(x) if self.with_neck else x

    def loss(self, inputs: torch.Tensor, data_samples: List[ToyDataSample]) -> dict:
        return self.head.loss(self.extract_feat(inputs), data_samples)

    def predict(self, inputs: torch.Tensor, data_samples=None) -> List[ToyDataSample]:
        return self.head.predict(self.extract_feat(inputs), data_samples)
