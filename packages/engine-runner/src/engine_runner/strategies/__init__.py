"""Strategies: one runner for one device, many devices and models larger than a device."""

from engine_runner.strategies._base import Strategy
from engine_runner.strategies._choose import choose_strategy, current_device
from engine_runner.strategies._distributed import DistributedDataParallel
from engine_runner.strategies._single_device import SingleDevice

__all__ = [
    "DistributedDataParallel",
    "SingleDevice",
    "Strategy",
    "choose_strategy",
    "current_device",
]
