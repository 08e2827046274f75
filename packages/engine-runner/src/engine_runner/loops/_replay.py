"""Resume data that cannot save its position: read the past batches again."""

import logging
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import IterableDataset

from engine_dataset import ResumableDataLoader
from engine_dist import all_gather_object, get_rank
from engine_runner._limits import LimitedLoader
from engine_runner._loaders import batches_of
from engine_runner._types import Batch
from engine_runner.environment import capture_host_states, restore_host_states
from engine_runner.loops._layout import Layout

_log = logging.getLogger("engine.runner")
_END = object()


class Replay:
    """Count the batches of data without ``state_dict``, and skip past ones after a resume.

    The state has the number of batches, and the random generators at the beginning of the pass,
    from which the order of the samples is drawn. A resumed run draws the same order, reads the past
    batches again and drops them. That costs the time of reading them, and is logged as a warning.

    Args:
        loader: Any iterable of batches.
        epoch_length: The number of batches after which an epoch ends. Data that has more continues
            in the next epoch. By default an epoch is a pass over the data.

    Attributes:
        batches_consumed: The number of batches of the current epoch that were received.

    Example:
        >>> replay = Replay([1, 2, 3])
        >>> batches = iter(replay)
        >>> next(batches), next(batches)
        (1, 2)
        >>> resumed = Replay([1, 2, 3])
        >>> resumed.load_state_dict(replay.state_dict())
        >>> list(resumed)
        [3]
        >>> epochs = Replay([1, 2, 3], epoch_length=2)
        >>> list(epochs), list(epochs)
        ([1, 2], [3, 1])
    """

    def __init__(self, loader: Any, epoch_length: int | None = None) -> None:
        self.loader = loader
        self.epoch_length = epoch_length
        self.batches_consumed = 0
        # Of the pass, which may be longer than the epoch; of an iterator, of all passes.
        self._read = 0
        # Of a pass that the next epoch continues.
        self._batches: Generator[Batch, None, None] | None = None
        self._next: Any = _END  # the batch that showed that the data has not ended
        self._before_next: dict[str, Any] | None = None  # the generators before that was read
        self._begin: dict[str, Any] | None = None
        self._resumed: dict[str, Any] | None = None
        source = loader.loader if isinstance(loader, LimitedLoader) else loader
        self._source = source
        self._is_iterator = isinstance(source, Iterator)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of an epoch; after `load_state_dict`, the rest of one."""
        if self._resumed is not None:
            self._resume(self._resumed)
        else:
            self.batches_consumed = 0
        if self._batches is None:
            self._batches = self._new_pass()
        while not self._is_full():
            batch = self._take(self._batches)
            if batch is not _END:
                self.batches_consumed += 1
                self._read += 1
                yield batch
                continue
            # An epoch that began within a pass reads on in the next one.
            reads_on = self._read > self.batches_consumed and not self._is_iterator
            self._end_pass()
            if not reads_on:
                break
            self._batches = self._new_pass()
        self.batches_consumed = 0

    def _is_full(self) -> bool:
        """Return whether the epoch has its length; the pass ends, too, if no batch follows."""
        if self.epoch_length is None or self.batches_consumed < self.epoch_length:
            return False
        if self._batches is not None:
            self._look_ahead(self._batches)
        return True

    def _take(self, batches: Iterator[Batch]) -> Any:
        if self._next is _END:
            return next(batches, _END)
        batch, self._next, self._before_next = self._next, _END, None
        return batch

    def _look_ahead(self, batches: Iterator[Batch]) -> None:
        before = capture_host_states()
        self._next = next(batches, _END)
        if self._next is _END:
            self._end_pass()
        else:
            self._before_next = before

    def _new_pass(self) -> Generator[Batch, None, None]:
        # A run begins an iterator once.
        if self._begin is None or not self._is_iterator:
            self._begin = self._states()
        return batches_of(self.loader)

    def _end_pass(self) -> None:
        self._batches = None
        if not self._is_iterator:
            self._begin, self._read = None, 0

    def leave_pass(self) -> None:
        """End the workers of a pass that was left; the next iteration reads its batches again."""
        if self._is_iterator or self._batches is None:
            return
        self._resumed = {"begin": self._begin or self._states(), "before_next": self._before_next}
        self._batches.close()
        self._batches, self._next, self._before_next = None, _END, None

    def _resume(self, resumed: dict[str, Any]) -> None:
        """Begin the pass of a state, and read its past batches."""
        self._resumed = None
        begin, looked = resumed["begin"], resumed["before_next"]
        now = capture_host_states()
        if self._read and begin:
            # Between two passes, the checkpoint has the global ones.
            restore_host_states(begin["global"])
        self._set_own(begin)
        if not self._read:
            return
        self._begin = begin or None
        if self._is_iterator:
            self._skip(self._source, self._read - self.batches_consumed)
        self._batches = self._new_pass()
        self._skip(self._batches, self.batches_consumed if self._is_iterator else self._read)
        restore_host_states(now)
        if looked and self.batches_consumed == 0:
            restore_host_states(looked)
            self._look_ahead(self._batches)
            restore_host_states(now)

    def _skip(self, batches: Iterator[Batch], count: int) -> None:
        if count and not isinstance(self._source, list | tuple):
            _log.warning(
                "%s has no position to resume: the first %d batches of the pass are read again and "
                "skipped; %s",
                *(self._name, count, self._consequence),
            )
        for number in range(count):
            if next(batches, _END) is _END:
                _log.warning("%s has %d batches now, fewer than that", self.loader, number)
                return

    def state_dict(self) -> dict[str, Any]:
        """Return the position; all ranks must save together."""
        if self._resumed is not None:
            begin, looked = self._resumed["begin"], self._resumed["before_next"]
        else:
            begin, looked = self._begin or self._states(), self._before_next
        return {
            "batches": self.batches_consumed,
            "read": self._read,
            "begin": all_gather_object(begin),
            "before_next": all_gather_object(looked),
            "layout": Layout.of(self._source).state_dict(),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Skip the batches of ``state_dict`` in the next iteration.

        With another batch size or number of ranks, the position is rounded down to a whole batch.

        Args:
            state_dict: A state of this class. The state of another kind of loader has at least
                the number of its batches.
        """
        batches = int(state_dict.get("batches", 0))
        saved, layout = Layout.saved(state_dict), Layout.of(self._source)
        self.batches_consumed = layout.translated(batches, saved)
        self._read = layout.translated(int(state_dict.get("read", batches)), saved)
        layout.warn_of_workers(saved, self._read)
        # A rank that did not exist has no state: it skips in the order that it draws now.
        self._resumed = {key: _of_rank(state_dict.get(key)) for key in ("begin", "before_next")}
        self._batches, self._next, self._before_next = None, _END, None

    def _set_own(self, begin: Mapping[str, Any] | None) -> None:
        """Set the generators of the loader to the beginning of a pass."""
        if not begin:
            return
        if "loader" in begin and self._has_pass:
            self._source.load_state_dict(begin["loader"])
        for name, generator in self._generators().items():
            if name in begin["own"]:
                generator.set_state(begin["own"][name].cpu())

    @property
    def _name(self) -> str:
        dataset = getattr(self._source, "dataset", None)
        part = dataset if isinstance(dataset, IterableDataset) else self._source
        return type(part).__name__

    @property
    def _consequence(self) -> str:
        if getattr(self._source, "in_order", True):
            return "a loader of a dataset with indices resumes without reading them"
        return (
            "with in_order=False the order of batches is not defined, so samples of this pass may "
            "repeat or be left out; leave out in_order to resume at the next batch"
        )

    def _states(self) -> dict[str, Any]:
        own = {name: generator.get_state() for name, generator in self._generators().items()}
        states = {"global": capture_host_states(), "own": own}
        if not self._has_pass:
            return states
        # The number of the pass, from which the workers are seeded. A limit cuts a pass short, and
        # the loader has the position in that one.
        loader = self._source.state_dict()
        later = 1 if loader["batches"] else 0
        return {**states, "loader": {**loader, "batches": 0, "pass": loader["pass"] + later}}

    @property
    def _has_pass(self) -> bool:
        source = self._source
        ours = isinstance(source, ResumableDataLoader) and source.in_order
        return ours and isinstance(source.dataset, IterableDataset)

    def _generators(self) -> dict[str, torch.Generator]:
        """Return the generators of the loader and its samplers."""
        batches = getattr(self.loader, "batch_sampler", None)
        parts = {
            "loader": self.loader,
            "sampler": getattr(self.loader, "sampler", None),
            "batch_sampler": batches,
            "inner": getattr(batches, "sampler", None),
        }
        found = {name: getattr(part, "generator", None) for name, part in parts.items()}
        return {name: one for name, one in found.items() if isinstance(one, torch.Generator)}


def _of_rank(states: Any) -> Any:
    """Return the state of this rank, of a list by rank."""
    known = isinstance(states, list) and get_rank() < len(states)
    return states[get_rank()] if known else None
