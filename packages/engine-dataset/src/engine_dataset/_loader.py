"""Load batches, and save and restore the position in the epoch."""

import functools
import logging
import weakref
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
)

from engine_dataset._counted_batches import CountedBatches
from engine_dataset._layout import BatchLayout
from engine_dataset._padding import padding_of
from engine_dataset._position import IndexStream, Progress, StreamTickets
from engine_dataset._samplers import TORCH_RANDOM
from engine_dataset._seeds import mixed_seed
from engine_dist import get_rank

_Batch = TypeVar("_Batch", covariant=True)
_logger = logging.getLogger("engine.dataset")


class ResumableDataLoader(DataLoader[_Batch]):
    """Load batches as `torch.utils.data.DataLoader` does, and resume at the next batch.

    It has the arguments and the behavior of torch's loader. `state_dict` counts the batches that
    the trainer has received. Batches that workers have prefetched do not count. After
    `load_state_dict` the next iteration yields the rest of that epoch, without loading past
    samples. The number of workers may differ.

    Samplers with `start_at` (`DefaultSampler`, `InfiniteSampler`) start there directly. Other
    samplers draw their past indices again, which must have the same order. A random sampler of
    torch without a generator gets one, whose state is saved. An `IterableDataset` has no indices:
    its past batches are loaded and dropped.

    A worker is seeded for each batch, from the seed of ``generator``, the rank, the number of the
    pass over the data, and the number of the batch. So random augmentations in workers do not
    depend on the number of workers, on ``persistent_workers`` or on interruptions. The seed covers
    the global generators of ``random``, numpy and torch. ``worker_init_fn`` runs when a worker
    starts, and other generators that it seeds keep their state. Without workers, samples draw from
    the generators of this process. Without ``generator``, the loader makes its own.

    Attributes:
        num_batch_per_epoch: The most batches of a pass over the data; None for all. `limited` sets
            it.

    Example:
        >>> loader = ResumableDataLoader(range(6), batch_size=2)
        >>> batches = iter(loader)
        >>> next(batches)
        tensor([0, 1])
        >>> state = loader.state_dict()
        >>> resumed = ResumableDataLoader(range(6), batch_size=2)
        >>> resumed.load_state_dict(state)
        >>> list(resumed), len(resumed)
        ([tensor([2, 3]), tensor([4, 5])], 3)
    """

    num_batch_per_epoch: int | None = None

    _resumed: Mapping[str, Any] | None = None
    _progress: Progress | None = None
    _pass = -1  # the number of the current or latest pass over the data
    _padding = 0  # the number of padding samples at the end of the current pass
    _started_from: torch.Tensor | None = None  # the generator's state before persistent workers
    _current: weakref.ref[Any] | None = None  # the iterator of the current pass, for `end_workers`

    if not TYPE_CHECKING:  # the signature is that of torch's loader, also for type checkers

        @functools.wraps(DataLoader.__init__)
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            # torch would draw from the global generator in each iteration, and a resumed run once
            # more than one without interruption.
            if self.generator is None:
                self.generator = _new_generator()
            _generator_of(self.sampler)

    def limited(self, num_batch_per_epoch: int) -> Self:
        """Return a loader of the same data and samplers, whose passes end after some batches.

        Only those batches are loaded. With a sampler that shuffles, each pass has other samples.

        Args:
            num_batch_per_epoch: The most batches of a pass, at least 1.

        Raises:
            ValueError: The sampler never ends, or the dataset has no indices.
        """
        if self._stream.endless or self._has_no_indices:
            kind = type(self.dataset if self._has_no_indices else self._stream.sampler).__name__
            raise ValueError(
                "num_batch_per_epoch must be left out for data whose passes have no end or no "
                f"indices, got {num_batch_per_epoch} with {kind}; use DefaultSampler"
            )
        loader = copy(self)
        for cached in ("_stream", "_tickets", "_progress", "_resumed", "_started_from", "_current"):
            loader.__dict__.pop(cached, None)
        loader._iterator = None  # of persistent workers, which draw from the other one
        loader.num_batch_per_epoch = num_batch_per_epoch
        return loader

    def __len__(self) -> int:
        size = super().__len__()
        limit = self.num_batch_per_epoch
        return size if limit is None else min(size, limit)

    @property
    def batches_consumed(self) -> int:
        """The number of batches of the current epoch that the trainer has received.

        It is 0 after the end of an epoch. With an endless sampler it is never reset.
        """
        if self._resumed is not None:
            # A loaded position is valid in its own epoch. If the caller has set another epoch, that
            # epoch begins at its first batch.
            return int(self._resumed["batches"]) if self._epoch == self._resumed["epoch"] else 0
        progress = self._progress
        if progress is None or progress.exhausted:
            return 0
        return progress.batches

    @property
    def batch_indices(self) -> list[int | None] | None:
        """The indices of the samples in the last received batch; ``None`` for padding.

        Padding is the samples that a sampler with ``round_up`` repeats at the end, so that all
        ranks have equally many. The whole value is ``None`` before the first batch, and if the
        dataset has no indices.
        """
        progress = self._progress
        latest = None if progress is None else progress.latest
        if progress is None or latest is None:
            return None
        current = latest if self._auto_collation else [latest]
        if not self._padding:
            return list(current)
        padded = self._padding_in(progress.batches - 1, len(current))
        return [*current[: len(current) - padded], *[None] * padded]

    def indices_of(self, batch: int) -> list[int] | None:
        """Return the indices of the samples in one of the last 256 batches of the current pass.

        Args:
            batch: The number of the batch in the pass, from 0.

        Returns:
            ``None`` for other batches, and if the dataset has no indices.
        """
        indices = None if self._progress is None else self._progress.indices_of(batch)
        if indices is None or self._has_no_indices:
            return None
        return list(indices) if self._auto_collation else [indices]

    def _padding_in(self, batch: int, size: int) -> int:
        """Return the number of padding samples at the end of a batch."""
        stream = self._stream
        if stream.batch_size is None:
            return 0
        first_padding = len(stream.sampler) - self._padding  # type: ignore[arg-type]
        return max(0, min(size, batch * stream.batch_size + size - first_padding))

    # One object for all iterations: torch draws indices from it, and it stores the progress of the
    # latest iteration.
    @cached_property
    def _stream(self) -> IndexStream:
        batches = super()._index_sampler
        sampler: Any = batches
        size: int | None = 1
        if self.batch_sampler is not None:
            # A batch sampler of the caller may have no `sampler`, or reorder its samples. The first
            # sample of a batch is known only for torch's `BatchSampler`.
            sampler = getattr(batches, "sampler", batches)
            size = batches.batch_size if type(batches) is BatchSampler else None
        order = batches if self._has_no_indices else self.order_of(batches, sampler)
        return IndexStream(order, sampler, size)

    def order_of(self, batches: Iterable[Any], sampler: Any) -> Iterable[Any]:
        """Return what the indices of the batches are drawn from; here ``batches``.

        A subclass may return another object, which yields the indices of a pass and has the length
        of ``batches``. Each pass must draw from ``batches``: after a resume, a sampler with
        ``start_at`` begins at the next batch. All others yield the past indices again.

        Args:
            batches: The batch sampler, or the sampler of a loader without batches.
            sampler: The sampler below it, or the same object.
        """
        return batches

    @property
    def index_stream(self) -> IndexStream:
        """What the indices are drawn from: what `order_of` has returned, and the sampler."""
        return self._stream

    @property
    def is_between_passes(self) -> bool:
        """Whether no pass over the data has begun, or the last one has ended."""
        return self._progress is None or self._progress.exhausted

    @property
    def layout(self) -> BatchLayout:
        """The batch size and the number of ranks, which give the number of batches its meaning."""
        world_size = getattr(self._stream.sampler, "world_size", 1)
        return BatchLayout(batch_size=self._stream.batch_size, world_size=world_size)

    @property
    def _index_sampler(self) -> Any:
        # torch's iterators draw the indices from here. For an IterableDataset, torch needs its own
        # sampler.
        return self._tickets if self._has_no_indices else self._stream

    @cached_property
    def _tickets(self) -> Any:
        requests = super()._index_sampler
        return StreamTickets(requests, self.num_workers) if self.num_workers else requests

    @property
    def _has_no_indices(self) -> bool:
        return isinstance(self.dataset, IterableDataset)

    def __iter__(self) -> Iterator[_Batch]:  # type: ignore[override] # torch names its own class
        stream = self._stream
        stream.limit = self.num_batch_per_epoch
        start = self._take_start()
        if self.num_workers:
            self._index_sampler.worker_seed = self._pass_seed
        # Save the states at the begin of the epoch: a resumed run draws the order from there.
        self._random_states = {name: one.get_state() for name, one in self._generators.items()}
        stream.generator_state = self._random_states.get("sampler")
        if self.persistent_workers and self._iterator is None:
            self._started_from = self._random_states.get("workers")
        self._padding = padding_of(stream.sampler)
        # torch keeps this many batches in its workers.
        window = self.num_workers * (self.prefetch_factor or 0)
        progress = self._progress = stream.progress = Progress(start, window)
        current = super().__iter__()
        self._current = weakref.ref(current) if self.num_workers else None
        batches = CountedBatches(current, progress, self)
        if self._has_no_indices and start:
            _logger.warning("an IterableDataset has no indices: %d batches are read again", start)
            batches.drop(start)
        return batches

    def _take_start(self) -> int:
        """Return the number of the first batch, and drop the loaded state."""
        start, resumed, self._resumed = self.batches_consumed, self._resumed, None
        if resumed is not None:
            # With another epoch set on the sampler, the pass of the state is over.
            over = resumed["batches"] > 0 and self._epoch != resumed["epoch"]
            self._pass = int(resumed.get("pass", 0)) + over
            return start
        if self._stream.endless:
            self._pass = 0
            return start
        self._pass += 1
        return 0

    def restart(self) -> None:
        """Let the next iteration be the first pass, with the random numbers of the first pass.

        Evaluations call it: each of them then augments in the workers alike.
        """
        self._pass = -1

    @property
    def _pass_seed(self) -> int:
        """The seed of the workers for the current pass, on this rank."""
        # The initial seed is a part of the generator's state, so a checkpoint has it.
        generator = cast(torch.Generator, self.generator)
        return mixed_seed(generator.initial_seed(), get_rank(), self._pass)

    @property
    def _epoch(self) -> int | None:
        stream = self._stream
        return getattr(stream.sampler, "epoch", getattr(stream.batches, "epoch", None))

    @property
    def _generators(self) -> dict[str, torch.Generator]:
        """The random generators of the order and of the seeds of workers."""
        found = {"sampler": _generator_of(self._stream.sampler), "workers": self.generator}
        return {name: one for name, one in found.items() if isinstance(one, torch.Generator)}

    @property
    def _stateful_samplers(self) -> dict[str, Any]:
        stream = self._stream
        parts = {"sampler": stream.sampler, "batch_sampler": stream.batches}
        if stream.sampler is stream.batches:
            del parts["batch_sampler"]
        return {name: part for name, part in parts.items() if hasattr(part, "load_state_dict")}

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the loader: the number of received batches, and the order.

        All values are plain Python. A state that is saved before the iterator is exhausted, even
        after the last batch, continues its epoch. A state that is saved later starts the next one.

        Raises:
            ValueError: ``in_order`` is false.
        """
        self._require_order()
        if self._resumed is not None:
            return dict(self._resumed)
        # Between two epochs, save the current states: the next epoch starts from them. Within an
        # epoch the order has been drawn already, so save the states from before.
        running = not self.is_between_passes
        now = {name: one.get_state() for name, one in self._generators.items()}
        states = self._random_states if running else now
        is_shared = self._generators.get("sampler") is self.generator
        if self._started_from is not None and not is_shared:
            # torch draws the seed of persistent workers once: a resumed run draws the same one.
            states = {**states, "workers": self._started_from}
        return {
            "batches": self.batches_consumed,
            "epoch": self._epoch,
            "pass": self._pass if running or self._stream.endless else self._pass + 1,
            **self.layout.state_dict(),
            "generators": {name: state.numpy().tobytes() for name, state in states.items()},
            "samplers": {name: part.state_dict() for name, part in self._stateful_samplers.items()},
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Start the next iteration at the position that `state_dict` returned.

        The number of workers may differ. With another batch size or number of ranks, the position
        is rounded down to a whole batch; if that repeats samples, a warning is logged. Setting
        another epoch on the sampler before the next iteration drops the position within the epoch.

        Args:
            state_dict: The state.

        Raises:
            ValueError: ``in_order`` is false, or ``state_dict`` is not the state of a loader.
        """
        self._require_order()
        layout = self.layout.state_dict()
        missing = sorted({"batches", "epoch", "generators", "samplers", *layout} - {*state_dict})
        if missing:
            raise ValueError(
                f"state_dict must be the state of a data loader, but it lacks {missing}; it has "
                f"{sorted(state_dict)}"
            )
        for name, part in self._stateful_samplers.items():
            if name in state_dict["samplers"]:
                part.load_state_dict(state_dict["samplers"][name])
        for name, generator in self._generators.items():
            if name in state_dict["generators"]:
                state = bytearray(state_dict["generators"][name])  # frombuffer needs it writable
                generator.set_state(torch.frombuffer(state, dtype=torch.uint8))
        saved = BatchLayout(**{name: state_dict[name] for name in layout})
        batches = self.layout.translated(int(state_dict["batches"]), saved)
        self._resumed = {**state_dict, "batches": batches, **layout}

    def _require_order(self) -> None:
        if not getattr(self, "in_order", True):
            raise ValueError(
                "in_order must be True to save or load a position, got False; otherwise the order "
                "of batches is not defined"
            )


def _new_generator() -> torch.Generator:
    """Return a generator seeded from the global one."""
    seed = int(torch.empty((), dtype=torch.int64).random_())
    return torch.Generator().manual_seed(seed)


def _generator_of(sampler: object) -> torch.Generator | None:
    """Return the generator of a sampler, and give one to a random sampler that has none."""
    # A random sampler without a generator draws a seed from the global generator in each iteration,
    # which cannot be restored.
    if isinstance(sampler, TORCH_RANDOM) and sampler.generator is None:
        sampler.generator = _new_generator()
    generator = getattr(sampler, "generator", None)
    return generator if isinstance(generator, torch.Generator) else None
