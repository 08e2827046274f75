"""Run a block of code in mixed precision."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from engine_dist.device import get_device


@contextmanager
def autocast(
    device_type: str | None = None,
    dtype: torch.dtype | None = None,
    enabled: bool = True,
    cache_enabled: bool | None = None,
) -> Iterator[None]:
    """Run the block in mixed precision.

    Args:
        device_type: ``"cuda"``, ``"cpu"`` …; the device that this process trains on by default.
        dtype: The lower precision; float16 on accelerators and bfloat16 on the CPU by default.
        enabled: Run in full precision if false, also inside of another such block.
        cache_enabled: Keep the lowered weights within the block.

    Yields:
        Nothing.

    Example:
        >>> with autocast("cpu"):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    device_type = device_type or get_device()
    with torch.autocast(device_type, dtype=dtype, enabled=enabled, cache_enabled=cache_enabled):
        yield
