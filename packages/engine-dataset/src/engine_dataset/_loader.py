"""A data loader whose position in the epoch can be saved and restored."""

import logging
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from engine_dataset._position import IndexStream, Progress

_Batch = TypeVar("_Batch", covariant=True)
_logger = logging.getLogger("engine.dataset")
_TORCH_RANDOM = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)


class ResumableDataLoader(DataLoader[_Batch]):
    """A ``torch.utils.data.DataLoader`` that resumes at the very next batch after a restart.

    It has the arguments and the behavior of torch's loader. ``state_dict`` counts the batches that
    the trainer has received, not those that workers have prefetched. After ``load_state_dict`` the
    next iteration yields the rest of that epoch, without loading past samples. The number of
    workers may differ.

    Samplers with ``start_at`` (``DefaultSampler``, ``InfiniteSampler``) start there at once. Others
    draw their past indices again, which must come in the same order. Torch's random samplers
    without a generator get one, whose state is saved. An ``IterableDataset`` has no indices: its
    past batches are loaded and dropped.

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

    _resumed: Mapping[str, Any] | None = None
    _progress: Progress | None = None

    @property
    def batches_consumed(self) -> int:
        """The number of batches of the current epoch that the trainer has received.

        It is 0 after the end of an epoch. With an endless sampler it is never reset.
        """
        if self._resumed is not None:
            # A loaded position belongs to the epoch it was saved in. If the caller has set another
            # epoch since, that one begins at its first batch.
            return int(self._resumed["batches"]) if self._epoch == self._resumed["epoch"] else 0
        progress = self._progress
        if progress is None or progress.exhausted:
            return 0
        return progress.batches

    @property
    def batch_indices(self) -> list[int | None] | None:
        """The indices of the samples in the batch received last; ``None`` for padding.

        Padding samples are repetitions that a sampler with ``round_up`` adds at the end, so that
        all ranks have equally many. The value is ``None`` before the first batch, and if the
        dataset has no indices.
        """
        progress = self._progress
        latest = None if progress is None else progress.latest
        if progress is None or latest is None:
            return None
        current = latest if self._auto_collation else [latest]
        padded = self._padding_in(progress.batches - 1, len(current))
        return [*current[: len(current) - padded], *[None] * padded]

    def _padding_in(self, batch: int, size: int) -> int:
        """Return the number of padding samples at the end of a batch."""
        stream = self._stream
        padding = _padding_of(stream.sampler)
        if not padding or stream.batch_size is None:
            return 0
        first_padding = len(stream.sampler) - padding  # type: ignore[arg-type]
        return max(0, min(size, batch * stream.batch_size + size - first_padding))

    # One object for the life of the loader: torch draws from it in each iteration, and it carries
    # the progress of the latest one.
    @cached_property
    def _stream(self) -> IndexStream:
        batches = super()._index_sampler
        if self.batch_sampler is None:
            return IndexStream(batches, batches, 1)
        # A batch sampler of the caller may have no sampler below it, or reorder its samples. Only
        # with torch's own does a batch start at a known sample.
        sampler = getattr(batches, "sampler", batches)
        plain = type(batches) is BatchSampler
        return IndexStream(batches, sampler, batches.batch_size if plain else None)

    @property
    def _index_sampler(self) -> Any:
        # torch's iterators draw the indices from here. An IterableDataset has a sampler of torch.
        return super()._index_sampler if self._has_no_indices else self._stream

    @property
    def _has_no_indices(self) -> bool:
        return isinstance(self.dataset, IterableDataset)

    def __iter__(self) -> Iterator[_Batch]:  # type: ignore[override] # torch names its own class
        stream = self._stream
        start = self._take_start()
        # As they were at the beginning of the epoch: the order is drawn from there again.
        self._random_states = {name: one.get_state() for name, one in self._generators.items()}
        stream.generator_state = self._random_states.get("sampler")
        # torch keeps this many batches in its workers.
        window = self.num_workers * (self.prefetch_factor or 0)
        progress = self._progress = stream.progress = Progress(start, window)
        batches = _CountedBatches(super().__iter__(), progress)
        if self._has_no_indices and start:
            _logger.warning("an IterableDataset has no indices: %d batches are read again", start)
            batches.drop(start)
        return batches

    def _take_start(self) -> int:
        """Return the number of the first batch, and drop a loaded state."""
        start, resumed = self.batches_consumed, self._resumed is not None
        self._resumed = None
        return start if resumed or self._stream.endless else 0

    @property
    def _epoch(self) -> int | None:
        stream = self._stream
        return getattr(stream.sampler, "epoch", getattr(stream.batches, "epoch", None))

    @property
    def _generators(self) -> dict[str, torch.Generator]:
        """The random generators of the order, and of the seeds of workers."""
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
        """Return the position of the loader: the next batch of the trainer, and the order.

        All values are plain Python. A state that is saved within an epoch, even after its last
        batch, continues that epoch. A state that is saved after the end of the iteration starts the
        next epoch.

        Raises:
            ValueError: If the loader was made with ``in_order=False``.
        """
        self._require_order()
        if self._resumed is not None:
            return dict(self._resumed)
        # Between two epochs the generators are where the next epoch starts; within one they are
        # already past its order.
        running = self._progress is not None and not self._progress.exhausted
        now = {name: one.get_state() for name, one in self._generators.items()}
        states = self._random_states if running else now
        return {
            "batches": self.batches_consumed,
            "epoch": self._epoch,
            **self._layout,
            "generators": {name: state.numpy().tobytes() for name, state in states.items()},
            "samplers": {name: part.state_dict() for name, part in self._stateful_samplers.items()},
        }

    @property
    def _layout(self) -> dict[str, Any]:
        """The batch size and number of ranks for which the number of batches is right."""
        world_size = getattr(self._stream.sampler, "world_size", 1)
        return {"batch_size": self._stream.batch_size, "world_size": world_size}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue the next iteration at the position of a state from ``state_dict``.

        The number of workers may differ. With another batch size or number of ranks, the position
        is rounded down to a whole batch; if that repeats samples, a warning is logged. Setting
        another epoch on the sampler before the next iteration drops the position within the epoch.

        Args:
            state_dict: The state.

        Raises:
            ValueError: If the loader was made with ``in_order=False``, or ``state_dict`` is not the
                state of a loader.
        """
        self._require_order()
        missing = sorted(
            {"batches", "epoch", "generators", "samplers", *self._layout} - {*state_dict}
        )
        if missing:
            raise ValueError(
                f"state_dict must be the state of a data loader, but it lacks {missing} and has "
                f"{sorted(state_dict)}"
            )
        for name, part in self._stateful_samplers.items():
            if name in state_dict["samplers"]:
                part.load_state_dict(state_dict["samplers"][name])
        for name, generator in self._generators.items():
            if name in state_dict["generators"]:
                state = bytearray(state_dict["generators"][name])  # frombuffer needs it writable
                generator.set_state(torch.frombuffer(state, dtype=torch.uint8))
        translated = {"batches": self._translated(state_dict), **self._layout}
        self._resumed = {**state_dict, **translated}

    def _translated(self, state: Mapping[str, Any]) -> int:
        """Return the saved number of batches in batches of this loader."""
        batch_size, world_size = self._layout.values()
        if batch_size is None or state["batch_size"] is None:
            return int(state["batches"])
        samples = state["batches"] * state["batch_size"] * state["world_size"]
        start, repeated = divmod(int(samples), int(batch_size * world_size))
        if repeated:
            _logger.warning(
                "the position was saved with batches of %s on %s ranks, so with %s on %s "
                "the %s samples before it are repeated",
                *(state["batch_size"], state["world_size"], batch_size, world_size, repeated),
            )
        return start

    def _require_order(self) -> None:
        if not getattr(self, "in_order", True):
            raise ValueError(
                "in_order must be True to save or load a position, got False; without it, batches "
                "overtake one another"
            )


class _CountedBatches(Iterator[_Batch]):
    """An iterator that counts the batches it yields."""

    # Every step of a training comes through here, so attribute access is worth its slots.
    __slots__ = ("_batches", "_progress")

    def __init__(self, batches: Iterator[_Batch], progress: Progress) -> None:
        self._batches = batches
        self._progress = progress

    def __next__(self) -> _Batch:
        progress = self._progress
        try:
            batch = next(self._batches)
        except StopIteration:
            progress.exhausted = True
            raise
        except Exception as error:
            error.add_note(
                f"in batch {progress.batches} of the epoch, which has the samples "
                f"{progress.indices_of(progress.batches)}"
            )
            # torch's iterator continues after the error with the next batch.
            progress.batches += 1
            raise
        progress.batches += 1
        return batch

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type] # torch's iterators have a length

    def drop(self, count: int) -> None:
        """Load and drop batches that the trainer has received already, without counting them."""
        for _ in range(count):
            next(self._batches, None)


def _generator_of(sampler: object) -> torch.Generator | None:
    """Return the generator of a sampler's order; a random sampler without one gets one."""
    # Without one, torch's samplers draw a seed from the global generator at each iteration, which
    # could not be restored.
    if isinstance(sampler, _TORCH_RANDOM) and sampler.generator is None:
        seed = int(torch.empty((), dtype=torch.int64).random_())
        sampler.generator = torch.Generator().manual_seed(seed)
    generator = getattr(sampler, "generator", None)
    return generator if isinstance(generator, torch.Generator) else None


def _padding_of(sampler: object) -> int:
    """Return the number of repeated samples at the end of a rank's share."""
    # torch's distributed sampler pads as well, but does not count it.
    if isinstance(sampler, DistributedSampler):
        size = len(sampler.dataset)  # type: ignore[arg-type] # the sampler has measured it
        real = len(range(sampler.rank, size, sampler.num_replicas))
        return max(0, sampler.num_samples - real)
    return int(getattr(sampler, "padding", 0))
