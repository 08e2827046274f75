"""Build a data loader: dataset, sampler, batch sampler, collate function and workers."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from engine_dataset import pseudo_collate, worker_init_fn
from engine_dist import get_rank
from engine_registry import DATA_SAMPLERS, DATASETS
from engine_runner._errors import SettingsError
from engine_runner._limits import limited
from engine_runner._loader_rules import NO_SAMPLER
from engine_runner._loaders import LIMIT, is_batches
from engine_runner._run_loader import RunLoader
from engine_runner._settings import TABLE
from engine_runner._types import Config
from engine_runner.parts._collate import build_function


def build_dataloader(
    dataloader: Any, seed: int | None = None, diff_rank_seed: bool = False
) -> DataLoader[Any]:
    """Return the data loader of a config, or the loader given.

    Args:
        dataloader: A loader, any other iterable of batches, or the arguments of
            `torch.utils.data.DataLoader` with configs for ``dataset``, ``sampler``,
            ``batch_sampler``, ``collate_fn`` and ``worker_init_fn``. ``num_batch_per_epoch`` is the
            most batches of a pass.
        seed: Seed of the sampler and, with the rank and the worker's number, of the workers.
        diff_rank_seed: Whether ranks are seeded differently. The sampler then gets no seed, and
            draws one that all ranks share.

    Raises:
        NotRegisteredError: ``collate_fn`` or ``worker_init_fn`` names no function.
        SettingsError: A key is unknown or missing, there is neither ``sampler`` nor
            ``batch_sampler`` and the dataset is not a stream, a stream has one, or there is
            ``shuffle``.
        TypeError: ``dataloader`` is neither an iterable of batches nor a config.
    """
    if is_batches(dataloader):
        return dataloader
    if not isinstance(dataloader, Mapping):
        raise TypeError(
            "a dataloader must be a DataLoader, an iterable of batches or a config, got "
            f"{dataloader!r}"
        )
    for _, message in TABLE["train_dataloader"].mistakes("dataloader", dataloader):
        raise SettingsError(message)
    config = dict(dataloader)
    limit = config.pop(LIMIT, None)
    dataset = _build_dataset(config.pop("dataset"))
    _check_order(config, dataset)
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
    # Without a batch size, the items of the dataset are batches already.
    collate = config.get("collate_fn", pseudo_collate if _collates(config, batch_sampler) else None)
    config["collate_fn"] = collate and build_function(collate, "dataloader.collate_fn")
    config["worker_init_fn"] = _worker_init(config, seed)
    # Its own generator: with the global one, the number of batches read changes dropout.
    config.setdefault("generator", torch.Generator().manual_seed(seed or 0))
    loader: DataLoader[Any] = RunLoader(
        dataset, sampler=sampler, batch_sampler=batch_sampler, **config
    )
    return limited(loader, limit)  # type: ignore[no-any-return]  # of a loader with indices, one


def _build_dataset(dataset: Any) -> Any:
    built = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
    if isinstance(dataset, Mapping) and hasattr(built, "full_init"):
        built.full_init()
    return built


def _check_order(config: Config, dataset: Any) -> None:
    """Raise if a stream has a sampler, or other data has none."""
    samplers = [key for key in ("sampler", "batch_sampler") if config.get(key) is not None]
    if isinstance(dataset, IterableDataset):
        if samplers:
            raise SettingsError(
                f"dataset must have indices, which a {samplers[0]} draws, got the stream "
                f"{type(dataset).__name__}; leave out {samplers[0]}"
            )
    elif not samplers:
        raise SettingsError(NO_SAMPLER)


def _collates(config: Config, batch_sampler: Any) -> bool:
    return batch_sampler is not None or config.get("batch_size", 1) is not None


def _worker_init(config: Config, seed: int | None) -> Any:
    given = config.get("worker_init_fn")
    if given is not None and not isinstance(given, Mapping):
        return given
    if seed is None and given is None:
        return None
    arguments = dict(given or {})
    kind = arguments.pop("type", worker_init_fn)
    function = (
        kind if callable(kind) else build_function({"type": kind}, "dataloader.worker_init_fn")
    )
    shared = {"num_workers": config.get("num_workers", 0), "rank": get_rank(), "seed": seed or 0}
    return partial(function, **shared, **arguments)
