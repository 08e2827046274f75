"""Scale learning rates to the batch size, before their schedules are built."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from engine_dist import get_world_size
from engine_runner._errors import SettingsError
from engine_runner._settings import TABLE, Settings
from engine_runner._types import Config
from engine_runner._wrappers import wrappers_by_name
from engine_runner.parts._parts import Parts

_log = logging.getLogger("engine.runner")


class _Training(Protocol):
    param_schedulers: Any

    @property
    def optim_wrapper(self) -> Any: ...
    @property
    def train_dataloader(self) -> Any: ...
    def scale_lr(self, optim_wrapper: Any, auto_scale_lr: Any = None) -> None: ...
    def build_param_scheduler(self, scheduler: Any) -> Any: ...


def schedule_once(run: _Training, parts: Parts, settings: Settings) -> None:
    """Scale the learning rates of a run and build its schedules, unless that is done.

    They must exist before a checkpoint is resumed, which continues them.

    Args:
        run: The run, whose methods scale and build; a subclass may override them.
        parts: The parts of the run.
        settings: The settings of the run.

    Raises:
        RuntimeError: The rates are to be scaled, and a schedule is built already.
    """
    if parts.built("param_scheduler") is not None:
        return
    if (settings.auto_scale_lr or {}).get("enable"):
        _check_not_built(settings.param_scheduler)
    run.scale_lr(run.optim_wrapper, settings.auto_scale_lr)
    if settings.param_scheduler is not None:
        run.param_schedulers = run.build_param_scheduler(settings.param_scheduler)
    parts.put("param_scheduler", run.param_schedulers or [])  # None would scale again


def scale_learning_rate(run: _Training, optim_wrapper: Any, auto_scale_lr: Config | None) -> None:
    """Scale the learning rates of all parameter groups and optimizers to the batch size.

    The batch size is that of the training data times the number of ranks. The iterations of an
    accumulation window do not count: ``base_batch_size`` is documented without them. The factor is
    the ratio of the batch sizes (``rule="linear"``; Goyal et al., arXiv:1706.02677), or its square
    root (``"sqrt"``; Krizhevsky, arXiv:1404.5997; for Adam, Malladi et al., arXiv:2205.10287).

    Args:
        run: The run, whose training data has the batch size.
        optim_wrapper: The optimizers, before their schedules are built.
        auto_scale_lr: ``enable``, ``base_batch_size``, for which the rates were chosen, and
            ``rule``.

    Raises:
        SettingsError: It has an unknown key or rule, is enabled without ``base_batch_size``, or the
            data has no batch size.
        RuntimeError: A schedule is built already, and would keep the rates as they were.
    """
    if not auto_scale_lr:
        return
    for _, message in TABLE["auto_scale_lr"].mistakes("auto_scale_lr", auto_scale_lr):
        raise SettingsError(message)
    if not auto_scale_lr.get("enable", False):
        return
    _check_not_built(run.param_schedulers)
    real = _batch_size(run.train_dataloader) * get_world_size()
    base, rule = auto_scale_lr["base_batch_size"], auto_scale_lr.get("rule", "linear")
    ratio = real / float(base)
    factor = math.sqrt(ratio) if rule == "sqrt" else ratio
    before = optim_wrapper.get_lr()
    optim_wrapper.scale_lr(factor)
    after = optim_wrapper.get_lr()
    changes = [f"{name} {rates[0]:g} -> {after[name][0]:g}" for name, rates in before.items()]
    _log.info(
        "auto_scale_lr: %s (times %g, %s in %d samples per iteration / base_batch_size %s)",
        *(", ".join(changes), factor, rule, real, base),
    )
    _warn_of_accumulation(optim_wrapper)


def _batch_size(dataloader: Any) -> int:
    """Return the samples of a batch on this rank."""
    # With a batch sampler the loader has no batch size; the batch sampler has.
    for part in (dataloader, getattr(dataloader, "batch_sampler", None)):
        size: int | None = getattr(part, "batch_size", None)
        if size is not None:
            return size
    raise SettingsError(
        f"auto_scale_lr needs the batch size of train_dataloader, and {dataloader!r} has no "
        "batch_size; set auto_scale_lr.enable=False, and scale the rates in optim_wrapper"
    )


def _warn_of_accumulation(optim_wrapper: Any) -> None:
    wrappers = wrappers_by_name(optim_wrapper).values()
    counts = max((getattr(one, "accumulative_counts", 1) for one in wrappers), default=1)
    if counts > 1:
        _log.warning(
            "auto_scale_lr does not count accumulative_counts=%d: base_batch_size is compared with "
            "the samples of one iteration. If the rates were chosen without accumulation, divide "
            "base_batch_size by %d.",
            *(counts, counts),
        )


def _check_not_built(schedules: Any) -> None:
    """Raise if there is a schedule that has the rates of its groups already."""
    built = next(_built(schedules), None)
    if built is not None:
        raise RuntimeError(
            f"auto_scale_lr must act before schedules are built, got a {type(built).__name__}, "
            "which keeps the rates as they were; give param_scheduler as a config, or call "
            "scale_lr before"
        )


def _built(schedules: Any) -> Iterator[Any]:
    """Yield the schedules that are not configs."""
    if isinstance(schedules, Mapping):
        if "type" not in schedules:  # by the name of an optimizer
            for part in schedules.values():
                yield from _built(part)
    elif isinstance(schedules, Sequence):
        for part in schedules:
            yield from _built(part)
    elif schedules is not None:
        yield schedules
