"""Facts about data loaders, and what keeps one from being trained or evaluated on."""

import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sized
from itertools import count, cycle, repeat
from typing import Any, TypeGuard
from zlib import crc32

from torch import Tensor, strided, uint8
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset

from engine_dataset import DistributedSamplerWrapper, ShardedStream, check_end, end_pass
from engine_runner._errors import SettingsError

_log = logging.getLogger("engine.runner")
_FIRSTS = 2  # the first batches, which come from the first workers in turn

LIMIT = "num_batch_per_epoch"
"""The key of a loader's config and of a loop's: the most batches of a pass."""


def length_of(dataloader: Any) -> int | None:
    """Return the number of batches of an epoch, or ``None`` if the data has no length.

    Of several loaders by name, it is the sum.
    """
    if isinstance(dataloader, Mapping):
        sizes = [length_of(loader) for loader in dataloader.values()]
        return None if None in sizes else sum(filter(None, sizes))
    try:
        return len(dataloader)
    except (TypeError, NotImplementedError):  # torch raises either for a dataset without length
        return None


def samples_of(dataloader: Any) -> int | None:
    """Return the number of samples of a loader's dataset, or ``None`` if it is unknown."""
    sampler = getattr(dataloader, "sampler", None)
    if isinstance(sampler, DistributedSamplerWrapper):
        return sampler.size  # a subset of the dataset, or more than it
    dataset = getattr(dataloader, "dataset", None)
    sized = isinstance(dataset, Sized) and not isinstance(dataset, IterableDataset)
    return length_of(dataset) if sized else None


def set_sampler_epoch(dataloader: Any, epoch: int) -> None:
    """Call ``set_epoch`` of a loader's samplers and of its stream, where there is one."""
    for part in _parts(dataloader):
        set_epoch = getattr(part, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)


def sampler_epoch(dataloader: Any) -> int | None:
    """Return the epoch that the samplers of a loader are set to, or None if they have none."""
    epochs = (getattr(part, "epoch", None) for part in _parts(dataloader))
    return next((epoch for epoch in epochs if isinstance(epoch, int)), None)


def _parts(dataloader: Any) -> Iterator[Any]:
    """Yield the samplers of a loader, and its stream, each once."""
    dataset = getattr(dataloader, "dataset", None)
    stream = dataset if isinstance(dataset, IterableDataset) else None
    sampler = getattr(dataloader, "sampler", None)
    batch_sampler = getattr(dataloader, "batch_sampler", None)
    inner = getattr(batch_sampler, "sampler", None)
    yield from {id(part): part for part in (sampler, batch_sampler, inner, stream)}.values()


def metainfo_of(dataloader: Any) -> Any:
    """Return the ``metainfo`` of a loader's dataset, or of a dataset inside it; None without.

    A subset or another wrapper has it in its ``dataset``; of several ``datasets``, as of torch's
    `ConcatDataset`, it is that of the first.
    """
    inside = [getattr(dataloader, "dataset", None)]
    for _ in range(10):  # a longer chain is one without an end
        for dataset in inside:
            metainfo = getattr(dataset, "metainfo", None)
            if metainfo is not None:
                return metainfo
        inside = [part for dataset in inside for part in _datasets_in(dataset)]
    return None


def _datasets_in(dataset: Any) -> list[Any]:
    several = getattr(dataset, "datasets", None)
    several = list(several.values()) if isinstance(several, Mapping) else several
    first = several[:1] if isinstance(several, list | tuple) else []
    return [part for part in (getattr(dataset, "dataset", None), *first) if part is not None]


def batching_part(dataloader: Any) -> Any:
    """Return what has the batch size of a loader: its batch sampler, or the loader itself."""
    batches = getattr(dataloader, "batch_sampler", None)
    # Not by its truth, which asks for its length: that of a stream has none, and raises.
    return dataloader if batches is None else batches


def evaluated_samples(dataloader: Any, world_size: int) -> int | None:
    """Return the number of samples that a pass yields on all ranks, without padding.

    Args:
        dataloader: The loader.
        world_size: The number of ranks.

    Returns:
        None if it is unknown.
    """
    size, limit = samples_of(dataloader), getattr(dataloader, LIMIT, None)
    batch_size: int | None = getattr(batching_part(dataloader), "batch_size", None)
    if size is None or limit is None or batch_size is None:
        return size
    return min(size, int(limit) * batch_size * world_size)


def batches_of(
    dataloader: Iterable[Any], batches: Iterator[Any] | None = None
) -> Generator[Any, None, None]:
    """Yield the batches of a loader.

    Args:
        dataloader: The loader.
        batches: An iterator over it, by default a new one.

    Raises:
        DatasetError: A sample raised `StopIteration`, which would end the iteration.
        SettingsError: The loader is a dataset.
    """
    # Python would iterate by index, and without end if no index raises IndexError.
    if isinstance(dataloader, Dataset) and not hasattr(dataloader, "__iter__"):
        raise SettingsError(
            f"a data loader must yield batches, got the dataset {type(dataloader).__name__}; give "
            "DataLoader(dataset, batch_size=...), with batch_size=None if its items are batches"
        )
    batches, number = iter(dataloader) if batches is None else batches, 0
    firsts: list[int] | None = [] if _is_divided_by_workers(dataloader) else None
    try:
        while True:
            try:
                batch = next(batches)
            except StopIteration as end:
                check_end(dataloader, end, number)
                return
            number += 1
            if firsts is not None and number <= _FIRSTS:
                firsts.append(_checksum(batch))
                if number == _FIRSTS and firsts[0] == firsts[1]:
                    _warn_of_repeats(dataloader)
            yield batch
    finally:
        if isinstance(dataloader, DataLoader) and not dataloader.persistent_workers:
            end_pass(batches)


def _is_divided_by_workers(dataloader: Any) -> bool:
    """Return whether each worker of a loader reads the stream itself."""
    if not isinstance(dataloader, DataLoader) or dataloader.num_workers < _FIRSTS:
        return False
    stream = dataloader.dataset
    return isinstance(stream, IterableDataset) and not isinstance(stream, ShardedStream)


def _warn_of_repeats(dataloader: Any) -> None:
    dataset = type(dataloader.dataset).__name__
    _log.warning(
        "the first batches of two workers are equal: each of the %d workers seems to yield the "
        "whole %s, so that samples repeat; divide it by torch.utils.data.get_worker_info, or wrap "
        "it in engine_dataset.ShardedStream",
        *(dataloader.num_workers, dataset),
    )


def _checksum(value: Any, former: int = 0) -> int:
    """Return a checksum of the content of a batch."""
    if isinstance(value, Mapping):
        value = list(value.items())
    if isinstance(value, list | tuple):
        for one in value:
            former = _checksum(one, former)
        return former
    if isinstance(value, Tensor) and value.layout == strided:
        content = value.detach().cpu().reshape(-1).view(uint8).numpy().tobytes()
        return crc32(content, former)
    return crc32(repr(value).encode(), former)


def no_batch(name: str, dataloader: Any) -> SettingsError:
    """Return the error for a loader that yields no batch.

    Args:
        name: The setting of the loader, such as ``"train_dataloader"``.
        dataloader: The loader.
    """
    facts = [f"{name} ({type(dataloader).__name__}) yields no batch"]
    size = samples_of(dataloader)
    if size is not None:
        dataset = type(dataloader.dataset).__name__
        facts.append(f"{dataset} has {size} samples")
        batches = batching_part(dataloader)
        batch_size, drops = (getattr(batches, key, None) for key in ("batch_size", "drop_last"))
        facts.append(f"batch_size is {batch_size}, drop_last is {drops}")
        facts.append(f"the sampler divides them among {ranks_of(dataloader) or 1} ranks")
    if not size:
        way_out = "check where the data comes from, and what filters it"
    else:
        way_out = "use a smaller batch_size or drop_last=False, or check what the sampler yields"
    if isinstance(dataloader, Iterator):
        way_out = (
            "an iterator cannot begin again; give an iterable that can, such as a list or a "
            "DataLoader"
        )
    return SettingsError(f"{', '.join(facts)}; {way_out}")


def check_loader(name: str, dataloader: Any, *, world_size: int) -> None:
    """Raise if a loader has no batch or no end, or does not divide its samples among the ranks.

    Args:
        name: The setting of the loader, such as ``"val_dataloader"``.
        dataloader: The loader. One of a loop with another form of data is not checked.
        world_size: The number of ranks.

    Raises:
        SettingsError: The loader has no batch, ranks would train on or count samples repeatedly,
            or an evaluation would have no end.
    """
    if is_sets(dataloader):
        for part, loader in dataloader.items():
            check_loader(f"{name}.{part}", loader, world_size=world_size)
        return
    if not isinstance(dataloader, Iterable) or isinstance(dataloader, Mapping):
        return
    trains = name.startswith("train")
    if not trains and is_endless(dataloader):
        raise SettingsError(
            f"{name} must have an end, got data that has none; set num_batch_per_epoch in "
            f"{name.split('_', 1)[0]}_cfg, or use DefaultSampler"
        )
    drops = bool(getattr(dataloader, "drop_last", False))
    # In an evaluation, a rank may have no share of a few samples.
    shared = world_size > 1 and not trains and not drops and samples_of(dataloader)
    if length_of(dataloader) == 0 and not shared:
        raise no_batch(name, dataloader)
    if world_size > 1:
        _check_ranks(name, dataloader, world_size)
    elif (ranks := ranks_of(dataloader) or 1) > 1:
        raise SettingsError(
            f"{name} must have all samples in one process, got a "
            f"{type(order_of(dataloader)[0]).__name__} for {ranks} ranks, which leaves out those "
            "of the others; start that many processes, or make it for one"
        )


def _check_ranks(name: str, dataloader: Any, world_size: int) -> None:
    """Raise unless the samples of a loader are divided among the ranks."""
    ranks = ranks_of(dataloader)
    if ranks == world_size:
        return
    part, way_out = order_of(dataloader)
    if ranks is not None:
        found = f"for {ranks}"
    else:
        found = "without the attribute world_size or num_replicas"
        way_out += "; or let it yield the share of its rank, and set its attribute world_size"
    repeats = "ranks would train on" if name.startswith("train") else "metrics would count"
    raise SettingsError(
        f"{name} must divide its samples among {world_size} ranks, got a {type(part).__name__} "
        f"{found}, with which {repeats} samples repeatedly; {way_out}"
    )


def order_of(dataloader: Any) -> tuple[Any, str]:
    """Return what determines the samples of a loader, and how to divide them."""
    if not isinstance(dataloader, DataLoader):
        return dataloader, "give DataLoader(batches, batch_size=None) for a list of batches"
    if isinstance(dataloader.dataset, IterableDataset):
        return dataloader.dataset, "wrap it in engine_dataset.ShardedStream"
    batches = dataloader.batch_sampler
    if batches is None or type(batches) is BatchSampler:
        sampler = dataloader.sampler if batches is None else batches.sampler
        return sampler, (
            "give the loader as a config with sampler=dict(type='DefaultSampler', shuffle=...), "
            "or wrap the sampler in engine_dataset.DistributedSamplerWrapper"
        )
    return batches, (
        "build the batch sampler on a torch.utils.data.DistributedSampler or an "
        "engine_dataset.DistributedSamplerWrapper, as its attribute sampler"
    )


def ranks_of(dataloader: Any) -> int | None:
    """Return the number of ranks that share the samples of a loader, or None if it is unknown."""
    batches = getattr(dataloader, "batch_sampler", None)
    parts = [batches, getattr(batches, "sampler", None), getattr(dataloader, "sampler", None)]
    dataset = getattr(dataloader, "dataset", None)
    if isinstance(dataset, IterableDataset):
        # Datasets of Hugging Face that are split by node have the number in a field.
        parts = [dataset, getattr(dataset, "_distributed", None)]
    for part in (*parts, dataloader):
        for key in ("num_replicas", "world_size"):
            if isinstance(ranks := getattr(part, key, None), int):
                return ranks
    return None


def is_endless(dataloader: Any) -> bool:
    """Return whether a pass over the data is known to have no end.

    `InfiniteSampler` has the attribute ``endless``; a sampler, dataset or iterable of the user's
    may have it, too.
    """
    if getattr(dataloader, LIMIT, None) is not None:
        return False
    batches = getattr(dataloader, "batch_sampler", None)
    parts = [dataloader, batches, getattr(batches, "sampler", None)]
    parts += [getattr(dataloader, key, None) for key in ("sampler", "dataset")]
    return any(
        isinstance(part, cycle | count | repeat) or getattr(part, "endless", False) is True
        for part in parts
    )


def is_sets(value: Any) -> bool:
    """Return whether a value is a mapping of names to data loaders, or to their configs.

    The config of a single loader has the key ``dataset``.
    """
    if not isinstance(value, Mapping) or "dataset" in value:
        return False
    entries = value.values()
    meant = any(isinstance(one, DataLoader) or _is_config(one) for one in entries)
    return meant or (bool(value) and all(is_batches(one) for one in entries))


def _is_config(value: Any) -> bool:
    return isinstance(value, Mapping) and "dataset" in value


def is_batches(value: Any) -> TypeGuard[DataLoader[Any]]:
    """Return whether a value may be a data loader: an iterable, but not a text or a mapping."""
    known = isinstance(value, DataLoader)
    return known or (hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping))
