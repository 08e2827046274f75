"""Strategies: how a model is placed, compiled, wrapped, saved and loaded."""

from engine_dist.device import current_device
from engine_runner.strategies._base import BaseStrategy, Strategy
from engine_runner.strategies._checkpointing import turn_on_activation_checkpointing
from engine_runner.strategies._choose import choose_strategy
from engine_runner.strategies._ddp import DDPStrategy
from engine_runner.strategies._deepspeed import DeepSpeedStrategy
from engine_runner.strategies._fsdp import FSDPStrategy
from engine_runner.strategies._single_device import SingleDeviceStrategy

__all__ = [
    "BaseStrategy",
    "DDPStrategy",
    "DeepSpeedStrategy",
    "FSDPStrategy",
    "SingleDeviceStrategy",
    "Strategy",
    "choose_strategy",
    "current_device",
    "turn_on_activation_checkpointing",
]
