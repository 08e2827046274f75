"""Data loaders that the user made: let them resume, and divide their samples among the ranks."""

import logging
from copy import copy
from typing import Any

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from engine_dataset import DefaultSampler, DistributedSamplerWrapper, ResumableDataLoader
from engine_runner._loaders import order_of, ranks_of
from engine_runner._run_loader import RunLoader

_log = logging.getLogger("engine.runner")
_RANDOM = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
_OF_ONE_PROCESS = (SequentialSampler, *_RANDOM)
# What a subclass may define and still load as torch's loader does.
_HARMLESS = {
    "__annotate__",
    "__annotate_func__",
    "__annotations__",
    "__classcell__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__init__",
    "__module__",
    "__orig_bases__",
    "__parameters__",
    "__qualname__",
    "__slots__",
    "__static_attributes__",
    "__weakref__",
}
_SHARED = (
    "num_workers",
    "collate_fn",
    "pin_memory",
    "timeout",
    "worker_init_fn",
    "multiprocessing_context",
    "prefetch_factor",
    "persistent_workers",
    "in_order",
)


def prepared(
    name: str,
    dataloader: Any,
    *,
    world_size: int,
    seed: int | None,
    trains: bool,
    is_shared: bool = False,
) -> Any:
    """Return the loader of a run for a loader that the user made.

    A loader for training becomes one that resumes at the next batch. One for an evaluation becomes
    one that draws alike each time, if it has a random generator, whose state no checkpoint has. On
    several ranks, a loader whose sampler yields all samples gets a sampler that divides them. Other
    data is returned as it is.

    Args:
        name: The setting of the loader, such as ``"train_dataloader"``.
        dataloader: The loader, which is not changed.
        world_size: The number of ranks.
        seed: The seed of the order on several ranks; None draws one that they share.
        trains: Whether the loader is for training.
        is_shared: Whether an evaluation has the loader of the training, whose position and workers
            it must not change.
    """
    if not isinstance(dataloader, DataLoader):
        return dataloader
    if world_size > 1 and _is_known(dataloader) and ranks_of(dataloader) in (None, 1):
        sampler = _distributed(dataloader, seed)
        if sampler is not None:
            _log.info(
                "%s: %s yields all samples on each rank; %s takes its place, which divides them "
                "among %d ranks by the seed of the run. batch_size=%s is that of each rank",
                *(name, type(order_of(dataloader)[0]).__name__, type(sampler).__name__),
                *(world_size, dataloader.batch_size),
            )
            return run_loader(dataloader, sampler)
    if isinstance(dataloader, ResumableDataLoader):
        is_own = is_shared
    else:
        is_own = trains or dataloader.generator is not None
    return run_loader(dataloader) if is_own and _is_known(dataloader) else dataloader


def run_loader(dataloader: DataLoader[Any], sampler: Any = None) -> RunLoader[Any]:
    """Return a loader with the arguments of another one, which resumes at the next batch.

    Args:
        dataloader: A torch `DataLoader`.
        sampler: The sampler in place of the loader's; by default its own. A random sampler of
            torch is copied, with its generator: another loader may draw from the same one, and a
            resumed run does not repeat those draws.
    """
    options = {key: getattr(dataloader, key) for key in _SHARED if hasattr(dataloader, key)}
    generator = _copied(dataloader.generator)
    if sampler is not None and generator is not None:
        # The seeds of the workers alone: each rank has others.
        generator = torch.Generator().manual_seed(generator.initial_seed())
    dataset, batches = dataloader.dataset, dataloader.batch_sampler
    if isinstance(dataset, IterableDataset):
        order: dict[str, Any] = {"batch_size": dataloader.batch_size}
        order["drop_last"] = dataloader.drop_last
    elif batches is None or type(batches) is BatchSampler:
        own = dataloader.sampler if batches is None else batches.sampler
        order = {"sampler": sampler or _with_own_generator(own, dataloader.generator, generator)}
        order["batch_size"] = None if batches is None else batches.batch_size
        order["drop_last"] = batches is not None and batches.drop_last
    else:
        order = {"batch_sampler": batches}
    made: RunLoader[Any] = RunLoader(dataset, generator=generator, **order, **options)
    made.num_batch_per_epoch = getattr(dataloader, "num_batch_per_epoch", None)
    for key, value in vars(dataloader).items():
        if key not in vars(made) and not key.startswith("_"):
            setattr(made, key, value)  # what the user has attached
    return made


def _with_own_generator(
    sampler: Any, shared: torch.Generator | None, copied: torch.Generator | None
) -> Any:
    """Return a sampler whose generator no other loader has.

    Args:
        sampler: The sampler; one that is not torch's is returned as it is.
        shared: The generator of the loader, which may be that of the sampler, too.
        copied: The copy of that.
    """
    if not isinstance(sampler, _RANDOM):
        return sampler
    own = copy(sampler)
    own.generator = copied if own.generator is shared else _copied(own.generator)
    return own


def _copied(generator: torch.Generator | None) -> torch.Generator | None:
    if generator is None:
        return None
    return torch.Generator(generator.device).set_state(generator.get_state())


def _is_known(dataloader: DataLoader[Any]) -> bool:
    """Return whether a loader iterates as torch's or this package's does."""
    if hasattr(dataloader, "state_dict") and not isinstance(dataloader, ResumableDataLoader):
        return False
    if not getattr(dataloader, "in_order", True) and dataloader.num_workers:
        return False
    for kind in type(dataloader).__mro__:
        if kind in (DataLoader, ResumableDataLoader, RunLoader):
            return True
        if vars(kind).keys() - _HARMLESS:
            return False
    return False


def _distributed(dataloader: DataLoader[Any], seed: int | None) -> Any:
    """Return a sampler for several ranks, or None for data that has no known order."""
    sampler, _ = order_of(dataloader)
    if type(sampler) is DefaultSampler:  # made before the process group
        shuffle, round_up = sampler.shuffle, sampler.round_up
        return DefaultSampler(sampler.dataset, shuffle, seed=seed, round_up=round_up)
    if type(sampler) not in _OF_ONE_PROCESS:
        return None
    return DistributedSamplerWrapper(sampler, seed=seed)
