"""From settings to finished parts: one function a part.

Each takes an object or its config. An object is returned as it is; a config is never changed.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from engine_dataset import ResumableDataLoader, worker_init_fn
from engine_dist import get_rank, get_world_size
from engine_evaluator import Evaluator
from engine_optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from engine_registry import (
    COLLATE_FUNCTIONS,
    DATA_SAMPLERS,
    DATASETS,
    EVALUATOR,
    HOOKS,
    LOG_PROCESSORS,
    LOOPS,
    MODELS,
    OPTIM_WRAPPERS,
    PARAM_SCHEDULERS,
    VISUALIZERS,
)
from engine_runner._errors import SettingsError
from engine_runner._log_processor import LogProcessor
from engine_runner._spelling import did_you_mean
from engine_runner._types import Config
from engine_runner.hooks import Hook
from engine_runner.loops import (
    BaseLoop,
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    TestLoop,
    ValLoop,
)
from engine_visualization import Visualizer

_log = logging.getLogger("engine.runner")


def build_model(model: nn.Module | Config, data_preprocessor: Any = None) -> nn.Module:
    """Return the model; a config without ``data_preprocessor`` gets the one given here."""
    if isinstance(model, nn.Module):
        return model
    if not isinstance(model, Mapping):
        raise TypeError(f"model is a torch.nn.Module or a config, got {type(model).__name__}")
    config = dict(model)
    if data_preprocessor is not None:
        config.setdefault("data_preprocessor", data_preprocessor)
    built: nn.Module = MODELS.build(config)
    return built


def build_dataloader(
    dataloader: DataLoader[Any] | Config, seed: int | None = None, diff_rank_seed: bool = False
) -> DataLoader[Any]:
    """Return the data loader of a config: data set, sampler, batch sampler, collate and workers.

    Args:
        dataloader: A loader, or the arguments of `torch.utils.data.DataLoader` with configs for
            ``dataset``, ``sampler``, ``batch_sampler``, ``collate_fn`` and ``worker_init_fn``.
        seed: Seed of the sampler and, with the rank and the worker's number, of the workers.
        diff_rank_seed: Let the sampler draw a seed that the ranks share by themselves.

    Raises:
        SettingsError: There is neither ``sampler`` nor ``batch_sampler``, there is ``shuffle``, or
            a key that a data loader does not take.
        TypeError: ``dataloader`` is neither a loader nor a config.
    """
    if isinstance(dataloader, DataLoader):
        return dataloader
    if not isinstance(dataloader, Mapping):
        raise TypeError(f"a dataloader is a DataLoader or a config, got {dataloader!r}")
    config = dict(dataloader)
    _check_dataloader(config)
    dataset = _build_dataset(config.pop("dataset"))
    sampler = config.pop("sampler", None)
    if isinstance(sampler, Mapping):
        sampler_seed = None if diff_rank_seed else seed
        sampler = DATA_SAMPLERS.build(
            sampler, default_args={"dataset": dataset, "seed": sampler_seed}
        )
    batch_sampler = config.pop("batch_sampler", None)
    if isinstance(batch_sampler, Mapping):
        batch_sampler = DATA_SAMPLERS.build(
            batch_sampler,
            default_args={"sampler": sampler, "batch_size": config.pop("batch_size")},
        )
    if batch_sampler is not None:
        config.pop("batch_size", None)
        sampler = None
    config["collate_fn"] = _build_function(config.get("collate_fn", {"type": "pseudo_collate"}))
    config["worker_init_fn"] = _worker_init(config, seed)
    # A generator of its own: iterating over data leaves the model's random numbers alone.
    config.setdefault("generator", torch.Generator().manual_seed(seed or 0))
    return ResumableDataLoader(dataset, sampler=sampler, batch_sampler=batch_sampler, **config)


_LOADER_KEYS = signature(DataLoader).parameters


def _check_dataloader(config: Config) -> None:
    for key in config:
        if key not in _LOADER_KEYS:
            hint = did_you_mean(key, _LOADER_KEYS)
            raise SettingsError(f"a dataloader config takes no {key!r}{hint}")
    if "dataset" not in config:
        raise SettingsError(f"a dataloader config needs 'dataset', got the keys {sorted(config)}")
    if config.get("shuffle"):
        raise SettingsError(
            "a dataloader config takes no 'shuffle', which a sampler contradicts; write "
            "sampler=dict(type='DefaultSampler', shuffle=True)"
        )
    if config.get("sampler") is None and config.get("batch_sampler") is None:
        raise SettingsError(
            "a dataloader config needs a 'sampler', such as "
            "sampler=dict(type='DefaultSampler', shuffle=False)"
        )


def _build_dataset(dataset: Any) -> Any:
    if not isinstance(dataset, Mapping):
        return dataset
    built = DATASETS.build(dataset)
    if hasattr(built, "full_init"):
        built.full_init()
    return built


def _build_function(function: Any) -> Any:
    """Return a function, or the function a config names with the config's other keys bound."""
    if not isinstance(function, Mapping):
        return function
    arguments = dict(function)
    kind = arguments.pop("type")
    found = kind if callable(kind) else COLLATE_FUNCTIONS.get(kind)
    if found is None:
        raise KeyError(
            f"{kind!r} is not among the collate functions: {sorted(COLLATE_FUNCTIONS.module_dict)}"
        )
    return partial(found, **arguments) if arguments else found


def _worker_init(config: Config, seed: int | None) -> Any:
    given = config.get("worker_init_fn")
    if given is not None and not isinstance(given, Mapping):
        return given
    if seed is None and given is None:
        return None
    arguments = dict(given or {})
    kind = arguments.pop("type", worker_init_fn)
    function = kind if callable(kind) else _build_function({"type": kind})
    shared = {"num_workers": config.get("num_workers", 0), "rank": get_rank(), "seed": seed or 0}
    return partial(function, **shared, **arguments)


def build_optimizers(model: nn.Module, optim_wrapper: Any) -> OptimWrapper | OptimWrapperDict:
    """Return the optimizer wrapper of a config, an optimizer, or a mapping of built wrappers.

    Raises:
        SettingsError: A config of several optimizers names no constructor that could build them.
        TypeError: ``optim_wrapper`` is none of these.
    """
    if isinstance(optim_wrapper, OptimWrapper):
        return optim_wrapper
    if isinstance(optim_wrapper, Optimizer):
        return OptimWrapper(optim_wrapper)
    if not isinstance(optim_wrapper, Mapping):
        raise TypeError(
            "optim_wrapper is an OptimWrapper, an Optimizer or a config, got "
            f"{type(optim_wrapper).__name__}"
        )
    optimizer = optim_wrapper.get("optimizer")
    if isinstance(optimizer, Optimizer):
        config = {"type": "OptimWrapper", **optim_wrapper}
        built: OptimWrapper = OPTIM_WRAPPERS.build(config)
        return built
    if isinstance(optimizer, Mapping) or "constructor" in optim_wrapper:
        return build_optim_wrapper(model, dict(optim_wrapper))
    if optimizer is not None:
        raise SettingsError(
            f"optim_wrapper.optimizer is an Optimizer or a config, got {optimizer!r}"
        )
    wrappers = {name: part for name, part in optim_wrapper.items() if name != "type"}
    if not wrappers or not all(isinstance(part, OptimWrapper) for part in wrappers.values()):
        raise SettingsError(
            "optim_wrapper needs an 'optimizer'; configs of several optimizers need a "
            "'constructor' that shares the parameters out among them; got the keys "
            f"{sorted(optim_wrapper)}"
        )
    return OptimWrapperDict(**wrappers)


def build_schedulers(
    schedulers: Any, optim_wrapper: Any, *, epoch_length: int, ends: Mapping[bool, int]
) -> Any:
    """Return a list of schedulers; with several optimizers, a mapping of a list for each.

    Args:
        schedulers: A scheduler, a config, a list of these, or a mapping of optimizer name to them.
        optim_wrapper: The optimizers whose parameters are scheduled.
        epoch_length: Iterations an epoch, for ``convert_to_iter_based``.
        ends: The ``end`` of schedules that set none, by their ``by_epoch``.

    Raises:
        SettingsError: A mapping names other optimizers than there are.
    """
    if isinstance(optim_wrapper, OptimWrapperDict):
        names = list(optim_wrapper.keys())
        separate = isinstance(schedulers, Mapping) and "type" not in schedulers
        if separate and set(schedulers) != set(names):
            raise SettingsError(
                f"param_scheduler names {sorted(schedulers)}, the optimizers are {sorted(names)}"
            )
        return {
            name: build_schedulers(
                schedulers[name] if separate else schedulers,
                optim_wrapper[name],
                epoch_length=epoch_length,
                ends=ends,
            )
            for name in names
        }
    single = isinstance(schedulers, Mapping) or not isinstance(schedulers, Sequence)
    entries = [schedulers] if single else list(schedulers)
    return [_build_scheduler(entry, optim_wrapper, epoch_length, ends) for entry in entries]


def _build_scheduler(
    entry: Any, optim_wrapper: Any, epoch_length: int, ends: Mapping[bool, int]
) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    config = dict(entry)
    by_epoch = bool(config.get("by_epoch", True))
    if by_epoch in ends:
        config.setdefault("end", ends[by_epoch])
    defaults = {"optimizer": optim_wrapper, "epoch_length": epoch_length}
    return PARAM_SCHEDULERS.build(config, default_args=defaults)


def build_train_loop(runner: Any, loop: Any, dataloader: Any) -> BaseLoop:
    """Return the training loop; a config without ``type`` is told apart by ``by_epoch``.

    Raises:
        SettingsError: The config has both ``type`` and ``by_epoch``, or neither.
    """
    if isinstance(loop, BaseLoop):
        return loop
    config = dict(loop)
    if "type" in config and "by_epoch" in config:
        raise SettingsError(
            f"train_cfg sets type={config['type']!r} and by_epoch={config['by_epoch']!r}; "
            "by_epoch only chooses a type, so leave one of them out"
        )
    shared = {"runner": runner, "dataloader": dataloader}
    if "type" in config:
        return _build_loop(config, shared)
    if "by_epoch" not in config:
        raise SettingsError("train_cfg needs by_epoch=True or False, or the type of a loop")
    kind = EpochBasedTrainLoop if config.pop("by_epoch") else IterBasedTrainLoop
    return _build_loop({"type": kind, **config}, shared)


def build_evaluation_loop(
    runner: Any, loop: Any, default: type[ValLoop] | type[TestLoop], dataloader: Any, evaluator: Any
) -> BaseLoop:
    """Return a validation or test loop; a config without ``type`` builds the default one."""
    if isinstance(loop, BaseLoop):
        return loop
    shared = {"runner": runner, "dataloader": dataloader, "evaluator": evaluator}
    return _build_loop({"type": default, **loop}, shared)


def _build_loop(config: Config, shared: Config) -> BaseLoop:
    built: BaseLoop = LOOPS.build(config, default_args=dict(shared))
    return built


def build_evaluator(evaluator: Any) -> Evaluator:
    """Return the evaluator of a metric, of several, or of a config with ``metrics``."""
    if isinstance(evaluator, Evaluator):
        return evaluator
    if isinstance(evaluator, Mapping) and "metrics" in evaluator:
        built: Evaluator = EVALUATOR.build({"type": Evaluator, **evaluator})
        return built
    many = isinstance(evaluator, Sequence)
    return Evaluator(list(evaluator) if many else [evaluator])


def build_log_processor(log_processor: Any) -> LogProcessor:
    """Return the log processor; a config without ``type`` is a `LogProcessor`'s."""
    if not isinstance(log_processor, Mapping | None):
        processor: LogProcessor = log_processor
        return processor
    built: LogProcessor = LOG_PROCESSORS.build({"type": LogProcessor, **(log_processor or {})})
    return built


def build_visualizer(visualizer: Any, name: str, save_dir: str) -> Visualizer:
    """Return the visualizer; by default one that keeps scalars in the log folder."""
    if isinstance(visualizer, Visualizer):
        return visualizer
    config = visualizer or {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}]}
    config = {"name": name, "save_dir": save_dir, **config}
    built: Visualizer = VISUALIZERS.build(config)
    return built


def build_hook(hook: Any) -> tuple[Hook, int | str | None]:
    """Return a hook, and the priority that its config sets, if it sets one.

    Raises:
        TypeError: ``hook`` is neither a hook nor a config.
    """
    if isinstance(hook, Mapping):
        config = dict(hook)
        priority = config.pop("priority", None)
        return HOOKS.build(config), priority
    if not isinstance(hook, Hook):
        raise TypeError(f"a hook is a Hook or a config, got {type(hook).__name__}: {hook!r}")
    return hook, None


def scale_learning_rate(optim_wrapper: Any, auto_scale_lr: Config | None, dataloader: Any) -> None:
    """Scale learning rates linearly to the batch size (Goyal et al., arXiv:1706.02677).

    Args:
        optim_wrapper: The optimizers, before their schedules are built.
        auto_scale_lr: ``base_batch_size``, for which the rates were chosen, and ``enable``.
        dataloader: The training data, whose batch size on all ranks together counts.

    Raises:
        SettingsError: It is enabled without ``base_batch_size``.
    """
    if not auto_scale_lr or not auto_scale_lr.get("enable", False):
        return
    if "base_batch_size" not in auto_scale_lr:
        raise SettingsError(
            "auto_scale_lr needs base_batch_size: the samples an update that lr was chosen for"
        )
    batches = dataloader if dataloader.batch_size is not None else dataloader.batch_sampler
    real = batches.batch_size * get_world_size()
    ratio = real / float(auto_scale_lr["base_batch_size"])
    several = isinstance(optim_wrapper, OptimWrapperDict)
    for wrapper in optim_wrapper.values() if several else [optim_wrapper]:
        for group in wrapper.scheduled_groups:
            group["lr"] *= ratio
            if "initial_lr" in group:
                group["initial_lr"] *= ratio
    _log.info("the learning rates were scaled by %g for %d samples an update", ratio, real)
