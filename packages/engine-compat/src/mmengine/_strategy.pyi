"""Written by scripts/compat_stubs.py."""

from engine_runner.strategies import (
    BaseStrategy,
    DDPStrategy,
    DeepSpeedStrategy,
    FSDPStrategy,
    SingleDeviceStrategy,
)

__all__ = [
    "BaseStrategy",
    "DDPStrategy",
    "DeepSpeedStrategy",
    "FSDPStrategy",
    "SingleDeviceStrategy",
]
