"""Choose the strategy of a run."""

from collections.abc import Mapping
from typing import Any

import torch

from engine_config import Config
from engine_dist import is_distributed
from engine_dist.device import chosen_device, current_device
from engine_model import MMFullyShardedDataParallel
from engine_registry import MODEL_WRAPPERS, STRATEGIES
from engine_runner._errors import SettingsError
from engine_runner._rules import strategy_mistakes
from engine_runner.strategies._base import Strategy
from engine_runner.strategies._checkpointing import Modules
from engine_runner.strategies._ddp import DDPStrategy
from engine_runner.strategies._fsdp import FSDPStrategy
from engine_runner.strategies._single_device import SingleDeviceStrategy


def choose_strategy(
    model_wrapper_cfg: Mapping[str, Any] | str | None = None,
    *,
    strategy: Strategy | Mapping[str, Any] | str | None = None,
    sync_bn: str | None = None,
    compile: bool | Mapping[str, Any] = False,
    activation_checkpointing: Modules | None = None,
    cfg: Config | Mapping[str, Any] | None = None,
) -> Strategy:
    """Return the strategy of this process.

    Each argument that is left out is read from ``cfg``: scripts that build the parts of a run
    themselves give these keys in ``Runner(cfg=…)`` alone.

    Args:
        model_wrapper_cfg: A wrapper of ``MODEL_WRAPPERS``, by name or as a config, for runs of
            several processes; one that shards selects `FSDPStrategy`.
        strategy: A strategy, its config or its name, which then decides alone.
        sync_bn: See `Strategy`.
        compile: See `Strategy`.
        activation_checkpointing: See `Strategy`.
        cfg: The config of the run.

    Raises:
        SettingsError: A setting does not act beside the strategy, which has its own argument.
            Both the strategy and the settings have an ``activation_checkpointing``.
    """
    keys: Any = {} if cfg is None else cfg
    model_wrapper_cfg = model_wrapper_cfg or keys.get("model_wrapper_cfg")
    strategy = strategy or keys.get("strategy")
    sync_bn = sync_bn or keys.get("sync_bn")
    compile = compile or keys.get("compile") or False
    if activation_checkpointing is None:
        activation_checkpointing = keys.get("activation_checkpointing")
    settings: dict[str, Any] = {
        "strategy": strategy,
        "model_wrapper_cfg": model_wrapper_cfg,
        "sync_bn": sync_bn,
        "compile": compile,
        "activation_checkpointing": activation_checkpointing,
    }
    for _, message in strategy_mistakes(settings):
        raise SettingsError(message)
    options: dict[str, Any] = {"compile": compile}
    if activation_checkpointing is not None:  # a strategy of the user's may have no such argument
        options["activation_checkpointing"] = activation_checkpointing
    device = current_device()
    if isinstance(strategy, Strategy):
        _check_device(strategy.device, device)
        return strategy
    if strategy is not None:
        config = {"type": strategy} if isinstance(strategy, str) else strategy
        _check_device(config.get("device"), device)
        built: Strategy = STRATEGIES.build(config, default_args={"device": device, **options})
        return built
    if not is_distributed():
        return SingleDeviceStrategy(device, sync_bn=sync_bn, **options)
    kind = FSDPStrategy if _shards(model_wrapper_cfg) else DDPStrategy
    return kind(device, model_wrapper_cfg, sync_bn=sync_bn, **options)


def _shards(wrapper: Mapping[str, Any] | str | None) -> bool:
    kind = wrapper.get("type") if isinstance(wrapper, Mapping) else wrapper
    found = MODEL_WRAPPERS.in_default_scope().get(kind) if isinstance(kind, str) else kind
    return isinstance(found, type) and issubclass(found, MMFullyShardedDataParallel)


def _check_device(own: torch.device | str | None, device: torch.device) -> None:
    """Raise if a strategy has another device than ``env_cfg`` chooses for the run."""
    if own is None or chosen_device() is None:
        return
    other = torch.device(own)
    if other.type != device.type or other.index not in (None, device.index):
        raise SettingsError(
            f"strategy.device and env_cfg.device must be the same, got {str(own)!r} and "
            f"{str(device)!r}; set one of them"
        )
