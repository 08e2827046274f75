import warnings
from pathlib import Path
from typing import Optional, Union

import numpy as np
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

from mmtoy.registry import MODELS
from mmtoy.structures import ToyDataSample


def init_model(
    config: Union[str, Path, Config],
    checkpoint: Optional[str] = None,
    device: str = "cpu",
    cfg_options: Optional[dict] = None,
) -> nn.Module:
    """Initialize a classifier from a config file.

    Args:
        config (str, Path or Config): Config file path or the config object.
        checkpoint (str, optional): Checkpoint path. If None, the model will not load any weights.
        device (str): The device of the model. Defaults to 'cpu'.
        cfg_options (dict, optional): Options to override some settings in the used config.

    Returns:
        nn.Module: The constructed classifier.
    """
    if isinstance(config, (str, Path)):
        config = Config.fromfile(config)
    elif not isinstance(config, Config):
        raise TypeError(f"config must be a filename or Config object, but got {type(config)}")
    if cfg_options is not None:
        config.merge_from_dict(cfg_options)
    if "init_cfg" in config.model.backbone:
        config.model.backbone.init_cfg = None
    init_default_scope(config.get("default_scope", "mmtoy"))

    model = MODELS.build(config.model)
    if checkpoint is not None:
        checkpoint = load_checkpoint(model, checkpoint, map_location="cpu")
        checkpoint_meta = checkpoint.get("meta", {})
        if "dataset_meta" in checkpoint_meta:
            model.dataset_meta = {k.lower(): v for k, v in checkpoint_meta["dataset_meta"].items()}
        else:
            warnings.warn("dataset_meta is not saved in the checkpoint's meta data")
            model.dataset_meta = {"classes": ("0", "1", "2")}
    model.cfg = config  # save the config in the model for convenience
    model.to(device)
    model.eval()
    return model


def inference_model(model: nn.Module, img: Union[str, np.ndarray]) -> ToyDataSample:
    """Inference a picture with the classifier.

    Args:
        model (nn.Module): The loaded classifier.
        img (str or np.ndarray): The path of a picture, or the picture.

    Returns:
        ToyDataSample: The prediction.
    """
    cfg = model.cfg
    test_pipeline = Compose(cfg.test_dataloader.dataset.pipeline)
    data_info = dict(img_path=img) if isinstance(img, str) else dict(img=img)
    data = pseudo_collate([test_pipeline(data_info)])
    with torch.no_grad():
        return model.test_step(data)[0]
