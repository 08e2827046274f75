"""Stand-ins for what a builder adds, with which a part can be constructed on trial.

Each function takes the config of the part and the whole config, and returns the arguments to add.
The constructors that get them check their arguments and store them, and do nothing else.
"""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, TypeAlias

import torch
from torch.optim import SGD

from engine_config import Config as EngineConfig
from engine_dataset import InfiniteSampler
from engine_registry import DATA_SAMPLERS
from engine_runner._types import Config

Whole: TypeAlias = EngineConfig | Config
StandIns: TypeAlias = Callable[[Config, Whole], Mapping[str, Any]]

_PER_GROUP = ("eta_max", "min_value")  # a schedule takes a list of these, one per group


class _Data(list[Any]):
    """A data loader without batches, whose sampler is endless if that of the config is."""

    def __init__(self, dataloader: Any) -> None:
        super().__init__()
        sampler = dataloader.get("sampler") if isinstance(dataloader, Mapping) else None
        kind = sampler.get("type") if isinstance(sampler, Mapping) else type(sampler)
        found = DATA_SAMPLERS.in_default_scope().get(kind) if isinstance(kind, str) else kind
        if isinstance(found, type) and issubclass(found, InfiniteSampler):
            self.sampler = InfiniteSampler([0], seed=0)


def for_nothing(part: Config, config: Whole) -> Mapping[str, Any]:
    """Return no arguments, for a part that needs none."""
    return {}


def for_loop(part: Config, config: Whole) -> Mapping[str, Any]:
    """Return the run and the data of a training loop."""
    return {"runner": None, "dataloader": _Data(config.get("train_dataloader"))}


def for_strategy(part: Config, config: Whole) -> Mapping[str, Any]:
    """Return the device of a strategy."""
    return {"device": torch.device("cpu")}


def for_optimizer(part: Config, config: Whole) -> Mapping[str, Any]:
    """Return no parameters: PyTorch checks the options first, and then raises for the empty list.

    With a parameter it would load its compiler, which takes seconds.
    """
    return {"params": []}


def for_optim_wrapper(part: Config, config: Whole) -> Mapping[str, Any]:
    """Return an optimizer that is not initialized, for the reason of `for_optimizer`."""
    optimizer = SGD.__new__(SGD)
    optimizer.param_groups = []
    return {"optimizer": optimizer}


def for_schedule(part: Config, config: Whole) -> Mapping[str, Any]:
    """Return the options that a schedule may change, and the end that a run gives it."""
    per_group = [value for key in _PER_GROUP if isinstance(value := part.get(key), list | tuple)]
    options = {"lr": 1.0, "momentum": 0.9, "betas": (0.9, 0.999), "weight_decay": 0.0}
    groups = [{"params": [], **options} for _ in (per_group[0] if per_group else [None])]
    loop = config.get("train_cfg")
    loop = loop if isinstance(loop, Mapping) else {}
    by_epoch = bool(part.get("by_epoch", True))
    end = loop.get("max_epochs" if by_epoch else "max_iters")
    valid = isinstance(end, int) and end >= 0  # otherwise the loop has the mistake
    ends = {"end": end} if valid and "end" not in part else {}
    return {"optimizer": SimpleNamespace(param_groups=groups, defaults=options), **ends}
