"""Build optimizers and schedules."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from torch import nn
from torch.optim import Optimizer

from engine_optim import (
    BaseOptimWrapper,
    OptimWrapper,
    OptimWrapperDict,
    build_optim_wrapper,
)
from engine_registry import OPTIM_WRAPPERS, PARAM_SCHEDULERS
from engine_runner._errors import SettingsError
from engine_runner._loaders import length_of
from engine_runner._rules import optim_wrapper_rule
from engine_runner._settings import TABLE
from engine_runner._types import Config

Schedules: TypeAlias = list[Any] | dict[str, list[Any]]

# A schedule with one of these does not depend on its end.
_OWN_LENGTHS = ("T_max", "total_steps", "milestones", "step_size", "gamma", "periods")


def build_optimizers(model: nn.Module, optim_wrapper: Any) -> BaseOptimWrapper:
    """Return the wrapper of an optimizer, of a config, or of a mapping of built wrappers.

    Args:
        model: The model, whose parameters a config's optimizers update.
        optim_wrapper: A wrapper, an optimizer, a config, or a mapping of name to wrapper.

    Raises:
        SettingsError: A config has no optimizer, or several without a ``constructor``.
        TypeError: ``optim_wrapper`` is none of these.
    """
    if isinstance(optim_wrapper, BaseOptimWrapper):
        return optim_wrapper
    if isinstance(optim_wrapper, Optimizer):
        return OptimWrapper(optim_wrapper)
    if not isinstance(optim_wrapper, Mapping):
        raise TypeError(
            "optim_wrapper must be an OptimWrapper, an Optimizer or a config, got "
            f"{type(optim_wrapper).__name__}"
        )
    for _, message in optim_wrapper_rule("optim_wrapper", optim_wrapper):
        raise SettingsError(message)
    config = TABLE["optim_wrapper"].with_type(optim_wrapper)
    optimizer = config.get("optimizer")
    if isinstance(optimizer, Optimizer):
        built: BaseOptimWrapper = OPTIM_WRAPPERS.build(config)
        return built
    if isinstance(optimizer, Mapping) or "constructor" in config:
        return build_optim_wrapper(model, dict(optim_wrapper))
    wrappers = {name: part for name, part in config.items() if name != "type"}
    return OptimWrapperDict(**wrappers)


def build_run_schedulers(
    schedulers: Any, optim_wrapper: Any, loop: Any, *, by_epoch: bool
) -> Schedules:
    """Return the schedules of a training, which end with it where they set no end of their own.

    Those that read the metrics of validations have no end by default: the last validation follows
    the last step.

    Args:
        schedulers: See `build_schedulers`.
        optim_wrapper: The optimizers whose parameters are scheduled.
        loop: The training loop.
        by_epoch: Whether the loop counts epochs.
    """
    ends = {True: loop.max_epochs} if by_epoch else {}
    if math.isfinite(loop.max_iters):
        ends[False] = loop.max_iters
    length = length_of(loop.dataloader) or getattr(loop, "epoch_length", None)
    return build_schedulers(schedulers, optim_wrapper, epoch_length=length, ends=ends)


def build_schedulers(
    schedulers: Any, optim_wrapper: Any, *, epoch_length: int | None, ends: Mapping[bool, int]
) -> Schedules:
    """Return a list of schedules; with several optimizers, a list for each by name.

    Args:
        schedulers: A schedule, a config, a list of these, or a mapping of optimizer name to them.
        optim_wrapper: The optimizers whose parameters are scheduled.
        epoch_length: Iterations per epoch, for ``convert_to_iter_based``; None if unknown.
        ends: The ``end`` of schedules that set none, by their ``by_epoch``.

    Raises:
        SettingsError: A mapping names other optimizers than there are, or a schedule needs a length
            that is unknown.
    """
    if isinstance(optim_wrapper, OptimWrapperDict):
        names = list(optim_wrapper.keys())
        separate = isinstance(schedulers, Mapping) and "type" not in schedulers
        if separate and set(schedulers) != set(names):
            raise SettingsError(
                f"param_scheduler names {sorted(schedulers)}, the optimizers are {sorted(names)}"
            )
        return {
            name: _scheduler_list(
                schedulers[name] if separate else schedulers,
                optim_wrapper[name],
                epoch_length,
                ends,
            )
            for name in names
        }
    return _scheduler_list(schedulers, optim_wrapper, epoch_length, ends)


def _scheduler_list(
    schedulers: Any, optim_wrapper: Any, epoch_length: int | None, ends: Mapping[bool, int]
) -> list[Any]:
    single = isinstance(schedulers, Mapping) or not isinstance(schedulers, Sequence)
    entries = [schedulers] if single else list(schedulers)
    return [_build_scheduler(entry, optim_wrapper, epoch_length, ends) for entry in entries]


def _build_scheduler(
    entry: Any, optim_wrapper: Any, epoch_length: int | None, ends: Mapping[bool, int]
) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    config = dict(entry)
    _check_length(config, epoch_length, ends)
    by_epoch = bool(config.get("by_epoch", True))
    if by_epoch in ends and not _waits_for_metrics(config):
        config.setdefault("end", ends[by_epoch])
    defaults = {"optimizer": optim_wrapper, "epoch_length": epoch_length}
    return PARAM_SCHEDULERS.build(config, default_args=defaults)


def _waits_for_metrics(config: Config) -> bool:
    """Return whether a schedule reads the metrics of validations, also of the one at the end."""
    kind = config.get("type")
    built = PARAM_SCHEDULERS.in_default_scope().get(kind) if isinstance(kind, str) else kind
    return bool(getattr(built, "need_val_args", False))


def _check_length(config: Config, epoch_length: int | None, ends: Mapping[bool, int]) -> None:
    """Raise if a schedule needs a length of the training that is unknown."""
    kind = config.get("type")
    name = getattr(kind, "__name__", kind)
    way_out = "train_cfg.epoch_length, the number of batches per epoch"
    converts = config.get("convert_to_iter_based", False)
    if converts and epoch_length is None and config.get("epoch_length") is None:
        raise SettingsError(
            f"{name} with convert_to_iter_based needs the iterations per epoch, and the training "
            f"data has no length; set its own epoch_length, or {way_out}"
        )
    by_iteration = not config.get("by_epoch", True) and not _waits_for_metrics(config)
    if by_iteration and False not in ends and not {"end", *_OWN_LENGTHS} & {*config}:
        raise SettingsError(
            f"{name} with by_epoch=False has no end, and the training data has no length; set its "
            f"end, or {way_out}"
        )
