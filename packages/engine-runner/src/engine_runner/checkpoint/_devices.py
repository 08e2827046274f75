"""The devices on which the tensors of a checkpoint are restored."""

from collections.abc import Callable
from typing import Any

import torch

from engine_runner.strategies import current_device


def location_of(map_location: str | Callable[..., Any]) -> str | Callable[..., Any]:
    """Return what `torch.load` takes for a documented ``map_location``.

    Args:
        map_location: ``"default"``, or what `torch.load` takes.
    """
    return _where_saved if map_location == "default" else map_location


def _where_saved(storage: torch.UntypedStorage, location: str) -> Any:
    # States of random generators, which samplers have, are valid on the CPU alone.
    device = "cpu" if location == "cpu" else str(current_device())
    restore: Callable[..., Any] = torch.serialization.default_restore_location
    return restore(storage, device)
