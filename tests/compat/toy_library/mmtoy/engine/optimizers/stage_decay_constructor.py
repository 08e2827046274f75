import json
from typing import List

import torch.nn as nn
from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor

from mmtoy.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class StageDecayConstructor(DefaultOptimWrapperConstructor):
    """Let the learning rate of a stage be lower the nearer it is to the picture.

    `paramwise_cfg` has `decay_rate`, and `num_stages` of the backbone.
    """

    def add_params(self, params: List[dict], module: nn.Module, **kwargs) -> None:
        """Add all parameters of the module to the groups.

        Args:
            params (list[dict]): The groups, which are modified in place.
            module (nn.Module): The module to be added.
        """
        logger = MMLogger.get_current_instance()
        decay_rate = self.paramwise_cfg["decay_rate"]
        num_stages = self.paramwise_cfg["num_stages"]
        groups = {}
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            no_decay = param.ndim == 1 or name.endswith(".bias")
            stage = num_stages
            if name.startswith("backbone.stages."):
                stage = int(name.split(".")[2])
            key = f"stage_{stage}_{'no_decay' if no_decay else 'decay'}"
            if key not in groups:
                scale = decay_rate ** (num_stages - stage)
                groups[key] = dict(
                    params=[],
                    group_name=key,
                    lr=self.base_lr * scale,
                    weight_decay=0.0 if no_decay else self.base_wd,
                )
            groups[key]["params"].append(param)
        shown = {key: {k: v for k, v in g.items() if k != "params"} for key, g in groups.items()}
        logger.info(f"Param groups = {json.dumps(shown, indent=2)}")
        params.extend(groups.values())
