"""Which strategy a run needs."""

from collections.abc import Mapping
from typing import Any

import torch

from engine_dist import is_distributed
from engine_dist.device import get_device
from engine_registry import STRATEGIES
from engine_runner.strategies._base import Strategy
from engine_runner.strategies._distributed import DistributedDataParallel
from engine_runner.strategies._single_device import SingleDevice


def choose_strategy(
    model_wrapper_cfg: Mapping[str, Any] | str | None = None,
    *,
    strategy: Mapping[str, Any] | None = None,
    sync_bn: str | None = None,
) -> Strategy:
    """Return the strategy for this process, on the device this process computes on.

    Args:
        model_wrapper_cfg: A wrapper of ``MODEL_WRAPPERS``, by name or as a config, for runs of
            several processes.
        strategy: Config of a strategy, which then decides alone.
        sync_bn: Normalise batches over all ranks: ``"torch"``.
    """
    device = current_device()
    if strategy is not None:
        built: Strategy = STRATEGIES.build(strategy, default_args={"device": device})
        return built
    if not is_distributed():
        return SingleDevice(device)
    wrapper = (
        {"type": model_wrapper_cfg} if isinstance(model_wrapper_cfg, str) else model_wrapper_cfg
    )
    return DistributedDataParallel(device, wrapper, sync_bn)


def current_device() -> torch.device:
    """Return the device this process computes on, with its index on an accelerator."""
    kind = get_device()
    if kind == "cpu":
        return torch.device("cpu")
    return torch.device(kind, torch.accelerator.current_device_index())
