from typing import List, Optional

from mmengine.model import ImgDataPreprocessor

from mmtoy.registry import MODELS


@MODELS.register_module()
class ToyDataPreprocessor(ImgDataPreprocessor):
    """Normalize pictures, stack them, and note the shape of the batch in the data samples.

    Args:
        batch_augments (list[dict], optional): Augmentations of a batch in training.
    """

    def __init__(self, *args, batch_augments: Optional[List[dict]] = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.batch_augments = [MODELS.build(aug) for aug in batch_augments or ()]

    def forward(self, data: dict, training: bool = False) -> dict:
        """Perform normalization, padding and the augmentations of a batch.

        Args:
            data (dict): Data sampled from dataloader.
            training (bool): Whether to enable training time augmentation.

        Returns:
            dict: Data in the same format as the model input.
        """
        data = super().forward(data=data, training=training)
        inputs, data_samples = data["inputs"], data.get("data_samples")
        if data_samples is not None:
            batch_input_shape = tuple(inputs[0].size()[-2:])
            for data_sample in data_samples:
                data_sample.set_metainfo({"batch_input_shape": batch_input_shape})
        if training:
            for batch_aug in self.batch_augments:
                inputs, data_samples = batch_aug(inputs, data_samples)
        return {"inputs": inputs, "data_samples": data_samples}
