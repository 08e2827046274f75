"""The error for configs that ask for DeepSpeed, with the settings that do the same here."""

from collections.abc import Mapping
from typing import Any

import torch

from engine_registry import STRATEGIES
from engine_runner._errors import SettingsError
from engine_runner.strategies._fsdp import FSDPStrategy

_HERE = {
    "activation_checkpointing": "activation_checkpointing=[names of modules]",
    "bf16": "optim_wrapper=dict(type='AmpOptimWrapper', dtype='bfloat16')",
    "fp16": "optim_wrapper=dict(type='AmpOptimWrapper', dtype='float16')",
    "gradient_accumulation_steps": "optim_wrapper=dict(accumulative_counts=...)",
    "gradient_clipping": "optim_wrapper=dict(clip_grad=dict(max_norm=...))",
    "optimizer": "optim_wrapper=dict(optimizer=...)",
    "scheduler": "param_scheduler=...",
    "train_micro_batch_size_per_gpu": "train_dataloader=dict(batch_size=...)",
}
_STAGES = {
    0: ("strategy='DDPStrategy'", "averages gradients, as stage 0 of ZeRO does"),
    1: (
        "strategy=dict(type='FSDPStrategy', reshard_after_forward=False{})",
        "shards optimizer states, as stage 1 of ZeRO does, and weights and gradients, too",
    ),
    2: (
        "strategy=dict(type='FSDPStrategy', reshard_after_forward=False{})",
        "shards gradients and optimizer states, as stage 2 of ZeRO does, and weights, too",
    ),
    3: (
        "strategy=dict(type='FSDPStrategy'{})",
        "shards weights, gradients and optimizer states, as stage 3 of ZeRO does",
    ),
}


@STRATEGIES.register_module()
class DeepSpeedStrategy(FSDPStrategy):
    """Raise an error that names the settings of Engine for those of DeepSpeed.

    `FSDPStrategy` shards weights, gradients and optimizer states, as stage 3 of ZeRO does, on each
    device of PyTorch. Its checkpoints hold whole weights and resume on another number of ranks.
    DeepSpeed keeps its optimizer states in files of its own, one per rank.

    Args:
        device: The device on which this process computes.
        **settings: The settings of DeepSpeed. The message depends on the ``stage`` and the
            offloading in ``zero_optimization``.

    Raises:
        SettingsError: Always.

    Example:
        >>> DeepSpeedStrategy(torch.device("cpu"), gradient_clipping=1.0)
        Traceback (most recent call last):
        ...
        engine_runner._errors.SettingsError: strategy must be a strategy of Engine, got ...
    """

    def __init__(self, device: torch.device, **settings: Any) -> None:
        instead = [f"{_HERE[name]} for {name}" for name in sorted(_HERE) if _given(settings, name)]
        further = f", with {', '.join(instead)}" if instead else ""
        raise SettingsError(
            "strategy must be a strategy of Engine, got 'DeepSpeedStrategy'; "
            f"{_sharding(settings.get('zero_optimization'))}{further}"
        )


def _given(settings: Mapping[str, Any], name: str) -> bool:
    """Return whether a setting of DeepSpeed is given and not turned off."""
    value = settings.get(name)
    return bool(value) and not (isinstance(value, Mapping) and value.get("enabled") is False)


def _sharding(zero: Any) -> str:
    """Return the strategy of Engine for the ``zero_optimization`` of DeepSpeed."""
    options = zero if isinstance(zero, Mapping) else {"stage": 3}
    stage = options.get("stage", 0)  # the default of DeepSpeed
    strategy, does = _STAGES[stage if isinstance(stage, int) and stage in _STAGES else 3]
    offloads = any(_offloads(options.get(name)) for name in ("offload_optimizer", "offload_param"))
    offload = ", cpu_offload=True" if offloads else ""
    return f"{strategy.format(offload)} {does}"


def _offloads(setting: Any) -> bool:
    """Return whether a part of the states is offloaded: to the CPU, or to a disk."""
    return isinstance(setting, Mapping) and setting.get("device", "none") not in ("none", None)
