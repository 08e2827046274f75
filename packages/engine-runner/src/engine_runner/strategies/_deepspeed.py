"""The error for configs that ask for DeepSpeed, with the settings that do the same here."""

from typing import Any

import torch

from engine_registry import STRATEGIES
from engine_runner._errors import SettingsError
from engine_runner.strategies._fsdp import FSDPStrategy

_HERE = {
    "bf16": "optim_wrapper=dict(type='AmpOptimWrapper', dtype='bfloat16')",
    "fp16": "optim_wrapper=dict(type='AmpOptimWrapper', dtype='float16')",
    "gradient_accumulation_steps": "optim_wrapper=dict(accumulative_counts=...)",
    "gradient_clipping": "optim_wrapper=dict(clip_grad=dict(max_norm=...))",
    "train_micro_batch_size_per_gpu": "train_dataloader=dict(batch_size=...)",
}


@STRATEGIES.register_module()
class DeepSpeedStrategy(FSDPStrategy):
    """Raise an error that names the settings of `FSDPStrategy` for those of DeepSpeed.

    `FSDPStrategy` shards weights, gradients and optimizer states, as stage 3 of ZeRO does, on each
    device of PyTorch. Its checkpoints hold whole weights and resume on another number of ranks.
    DeepSpeed keeps its optimizer states in files of its own, one per rank.

    Args:
        device: The device on which this process computes.
        **settings: The settings of DeepSpeed.

    Raises:
        SettingsError: Always.

    Example:
        >>> DeepSpeedStrategy(torch.device("cpu"), gradient_clipping=1.0)
        Traceback (most recent call last):
        ...
        engine_runner._errors.SettingsError: strategy must be a strategy of Engine, got ...
    """

    def __init__(self, device: torch.device, **settings: Any) -> None:
        instead = [f"{_HERE[name]} for {name}" for name in sorted(_HERE) if settings.get(name)]
        further = f", with {', '.join(instead)}" if instead else ""
        raise SettingsError(
            "strategy must be a strategy of Engine, got 'DeepSpeedStrategy'; "
            "strategy=dict(type='FSDPStrategy') shards weights, gradients and optimizer states as "
            f"stage 3 of ZeRO does{further}"
        )
