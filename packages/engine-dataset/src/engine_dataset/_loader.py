"""A data loader whose place in the epoch can be saved and entered again."""

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
    """A ``torch.utils.data.DataLoader`` that goes on at the very next batch after a restart.

    It takes the arguments of torch's loader and behaves like it. ``state_dict`` tells which batches
    the trainer has received, whatever workers have prefetched; after ``load_state_dict`` the next
    iteration yields the rest of that epoch, and loads nothing of what came before. The number of
    workers may be another one.

    Samplers with ``start_at`` (``DefaultSampler``, ``InfiniteSampler``) are entered at once; others
    are asked for their indices again, which must come in the same order. Torch's random samplers
    without a generator are given one, whose state is saved. An ``IterableDataset`` has no indices:
    its past batches are loaded and dropped.

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
        """Batches of the running epoch that the trainer has received.

        0 once an epoch has been read to its end. Over an endless sampler it counts on.
        """
        if self._resumed is not None:
            # With another epoch set since, the caller has moved on.
            return int(self._resumed["batches"]) if self._epoch == self._resumed["epoch"] else 0
        progress = self._progress
        if progress is None or progress.exhausted:
            return 0
        return progress.batches

    @property
    def batch_indices(self) -> list[int | None] | None:
        """Indices of the samples in the batch received last; ``None`` for padding.

        Padding are the repetitions at the end that a sampler with ``round_up`` adds to give all
        ranks equally many samples. ``None`` as a whole before the first batch, and where the data
        set has no indices.
        """
        progress = self._progress
        latest = None if progress is None else progress.latest
        if progress is None or latest is None:
            return None
        current = latest if self._auto_collation else [latest]
        padded = self._padding_in(progress.batches - 1, len(current))
        return [*current[: len(current) - padded], *[None] * padded]

    def _padding_in(self, batch: int, size: int) -> int:
        """How many samples at the end of a batch are padding."""
        stream = self._stream
        padding = _padding_of(stream.sampler)
        if not padding or stream.batch_size is None:
            return 0
        first_padding = len(stream.sampler) - padding  # type: ignore[arg-type]
        return max(0, min(size, batch * stream.batch_size + size - first_padding))

    @cached_property
    def _stream(self) -> IndexStream:
        batches = super()._index_sampler
        if self.batch_sampler is None:
            return IndexStream(batches, batches, 1)
        # A batch sampler of the caller may have no sampler below it, and an order of its own.
        sampler = getattr(batches, "sampler", batches)
        plain = type(batches) is BatchSampler
        return IndexStream(batches, sampler, batches.batch_size if plain else None)

    @property
    def _index_sampler(self) -> Any:
        # torch's iterators draw the indices from here.
        return super()._index_sampler if self._has_no_indices else self._stream

    @property
    def _has_no_indices(self) -> bool:
        return isinstance(self.dataset, IterableDataset)

    def __iter__(self) -> Iterator[_Batch]:  # type: ignore[override] # torch names its own class
        stream = self._stream
        start = self._take_start()
        self._random_states = {name: one.get_state() for name, one in self._generators.items()}
        stream.generator_state = self._random_states.get("sampler")
        window = self.num_workers * (self.prefetch_factor or 0)
        progress = self._progress = stream.progress = Progress(start, window)
        batches = _CountedBatches(super().__iter__(), progress)
        if self._has_no_indices and start:
            _logger.warning("an IterableDataset has no indices: %d batches are read again", start)
            batches.drop(start)
        return batches

    def _take_start(self) -> int:
        """Tells the batch to begin at, and forgets a loaded state."""
        start, resumed = self.batches_consumed, self._resumed is not None
        self._resumed = None
        return start if resumed or self._stream.endless else 0

    @property
    def _epoch(self) -> int | None:
        stream = self._stream
        return getattr(stream.sampler, "epoch", getattr(stream.batches, "epoch", None))

    @property
    def _generators(self) -> dict[str, torch.Generator]:
        """Random generators behind the order, and behind the seeds of workers."""
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
        """Gives the loader's place: which batch the trainer gets next, and of which order.

        All values are plain Python. Saved within an epoch, even after its last batch, the state
        means the rest of that epoch; saved after the iteration has ended, it means the next one.

        Raises:
            ValueError: The loader was made with ``in_order=False``.
        """
        self._require_order()
        if self._resumed is not None:
            return dict(self._resumed)
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
        """What the number of batches is counted in."""
        world_size = getattr(self._stream.sampler, "world_size", 1)
        return {"batch_size": self._stream.batch_size, "world_size": world_size}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Makes the next iteration go on from a place that ``state_dict`` gave.

        The number of workers may differ. With another batch size or number of ranks the place is
        rounded down to a whole batch, and a warning tells when that repeats samples. Setting
        another epoch on the sampler before the next iteration drops the place within the epoch.

        Raises:
            ValueError: The loader was made with ``in_order=False``, or ``state_dict`` is not one of
                a loader.
        """
        self._require_order()
        missing = sorted(
            {"batches", "epoch", "generators", "samplers", *self._layout} - {*state_dict}
        )
        if missing:
            raise ValueError(
                f"this is not the state of a data loader: it lacks {missing} and has "
                f"{sorted(state_dict)}"
            )
        for name, part in self._stateful_samplers.items():
            if name in state_dict["samplers"]:
                part.load_state_dict(state_dict["samplers"][name])
        for name, generator in self._generators.items():
            if name in state_dict["generators"]:
                state = bytearray(state_dict["generators"][name])
                generator.set_state(torch.frombuffer(state, dtype=torch.uint8))
        translated = {"batches": self._translated(state_dict), **self._layout}
        self._resumed = {**state_dict, **translated}

    def _translated(self, state: Mapping[str, Any]) -> int:
        """Converts the saved number of batches into batches of this loader."""
        batch_size, world_size = self._layout.values()
        if batch_size is None or state["batch_size"] is None:
            return int(state["batches"])
        samples = state["batches"] * state["batch_size"] * state["world_size"]
        start, repeated = divmod(int(samples), int(batch_size * world_size))
        if repeated:
            _logger.warning(
                "the place was saved with batches of %s on %s ranks; with %s on %s, the %s samples "
                "before it are seen again",
                *(state["batch_size"], state["world_size"], batch_size, world_size, repeated),
            )
        return start

    def _require_order(self) -> None:
        if not getattr(self, "in_order", True):
            raise ValueError(
                "a data loader with in_order=False has no place to save: batches overtake one "
                "another; leave in_order at True"
            )


class _CountedBatches(Iterator[_Batch]):
    """Passes batches on and counts them; what costs time here costs it at every step."""

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
            progress.batches += 1
            raise
        progress.batches += 1
        return batch

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type] # torch's iterators have a length

    def drop(self, count: int) -> None:
        """Reads batches that the trainer has already seen, without counting them."""
        for _ in range(count):
            next(self._batches, None)


def _generator_of(sampler: Any) -> torch.Generator | None:
    """Gives the generator behind a sampler's order, and one of its own to a random one without."""
    if isinstance(sampler, _TORCH_RANDOM) and sampler.generator is None:
        seed = int(torch.empty((), dtype=torch.int64).random_())
        sampler.generator = torch.Generator().manual_seed(seed)
    generator = getattr(sampler, "generator", None)
    return generator if isinstance(generator, torch.Generator) else None


def _padding_of(sampler: Any) -> int:
    """Tells how many samples at the end of a rank's share are repetitions."""
    if isinstance(sampler, DistributedSampler):
        size = len(sampler.dataset)  # type: ignore[arg-type] # it has been measured by the sampler
        real = len(range(sampler.rank, size, sampler.num_replicas))
        return max(0, sampler.num_samples - real)
    return int(getattr(sampler, "padding", 0))
