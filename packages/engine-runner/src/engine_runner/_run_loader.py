"""The data loader of a run: it draws the order of any sampler again after a resume."""

import logging
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import torch
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from engine_dataset import BatchLayout, ResumableDataLoader
from engine_dist import all_gather_object, get_rank
from engine_runner.environment import capture_host_states, restore_host_states

_Batch = TypeVar("_Batch", covariant=True)
_log = logging.getLogger("engine.runner")
# Their order depends on a generator of their own, or on their epoch.
_KNOWN = (
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


class RunLoader(ResumableDataLoader[_Batch]):
    """A resumable loader whose sampler may be any one, also one that draws from global generators.

    The samplers of torch and of Engine have an order that a generator or an epoch determines. Of
    any other sampler, see `ReplayedOrder`. Where sampler and loader share a generator, as in
    ``DataLoader(dataset, shuffle=True, generator=generator)``, the order is that of torch.

    Example:
        >>> loader = RunLoader(range(4), batch_size=2)
        >>> list(loader)
        [tensor([0, 1]), tensor([2, 3])]
    """

    _first_states: dict[str, torch.Tensor] | None = None  # of the generators, in evaluations

    def restart(self) -> None:
        """Let the next iteration be the first pass, in the order of the first pass."""
        super().restart()
        if self._first_states is None:
            self._first_states = {key: one.get_state() for key, one in self._generators.items()}
        for name, generator in self._generators.items():
            generator.set_state(self._first_states[name])

    def order_of(self, batches: Iterable[Any], sampler: Any) -> Iterable[Any]:
        """Return an order that a resumed run draws again."""
        generator = getattr(sampler, "generator", None)
        if generator is not None and generator is self.generator:
            return _AfterSeed(batches, generator)
        return batches if _is_determined(batches, sampler) else ReplayedOrder(batches, sampler)

    @property
    def layout(self) -> BatchLayout:
        """The batch size and the number of ranks."""
        # torch's distributed sampler has another name for it.
        ranks = getattr(self.index_stream.sampler, "num_replicas", None)
        return super().layout if ranks is None else replace(super().layout, world_size=ranks)

    @property
    def _order(self) -> str:
        sampler = self.index_stream.sampler
        inner = getattr(sampler, "sampler", None)
        return " of ".join(type(one).__name__ for one in (sampler, inner) if one is not None)

    def state_dict(self) -> dict[str, Any]:
        """Return the position as `ResumableDataLoader` does, with the kind of the sampler."""
        order = self.index_stream.batches
        # The indices of a pass are drawn ahead of it, so only the loader has its end.
        if isinstance(order, ReplayedOrder) and self.is_between_passes:
            order.end_pass()
        return {**super().state_dict(), "order": self._order}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Start the next iteration at a position; warn if another kind of sampler has saved it."""
        super().load_state_dict(state_dict)
        order = self.index_stream.batches
        if isinstance(order, ReplayedOrder):
            order.trained = self.batches_consumed
        saved = state_dict.get("order", self._order)
        if state_dict["batches"] and saved != self._order:
            _log.warning(
                "the position was saved with the order of %s, and the order is that of %s now: "
                "samples of this pass over the data may repeat or be left out",
                *(saved, self._order),
            )


def _content(indices: Any) -> bytes:
    """Return the content of indices for a checksum, without formatting integers."""
    values = indices.tolist() if hasattr(indices, "tolist") else indices
    if isinstance(values, list | tuple):
        with suppress(TypeError, OverflowError):
            return array("q", values).tobytes()
    return str(values).encode()


def _is_determined(batches: Any, sampler: Any) -> bool:
    """Return whether a state or an epoch determines the order."""
    if type(batches) is not BatchSampler and batches is not sampler:
        return False
    return isinstance(sampler, _KNOWN) or hasattr(sampler, "start_at")


class _Order:
    """Base of the orders that take the place of a batch sampler, and have its attributes."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]  # of those that have a length

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("batches", "state_dict", "load_state_dict"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self.batches, name)


class _AfterSeed(_Order):
    """The order that torch draws from a generator, after it has drawn the seed of its workers.

    `ResumableDataLoader` draws the order from the state before that.
    """

    def __init__(self, batches: Iterable[Any], generator: torch.Generator) -> None:
        super().__init__(batches)
        self._shared = generator

    def __iter__(self) -> Iterator[Any]:
        torch.empty((), dtype=torch.int64).random_(generator=self._shared)
        yield from self.batches


class ReplayedOrder(_Order):
    """The order of a sampler that is not known, which a resumed run draws again.

    The state has the random generators of the process, and the states of sampler and batch
    sampler, at the beginning of the pass. After a resume, the past indices are drawn from there. A
    checksum of them is compared: a sampler that draws another order, such as one with a generator
    without a seed, gets a warning.

    Args:
        batches: The batch sampler, or the sampler of a loader without batches.
        sampler: The sampler below it, or the same object.

    Attributes:
        trained: How many batches of the resumed pass are dropped, as they are trained on.

    Example:
        >>> order = ReplayedOrder([[2, 0], [1]], [2, 0, 1])
        >>> batches = iter(order)
        >>> next(batches)
        [2, 0]
        >>> resumed = ReplayedOrder([[2, 0], [1]], [2, 0, 1])
        >>> resumed.load_state_dict(order.state_dict())
        >>> list(resumed)
        [[2, 0], [1]]
    """

    def __init__(self, batches: Iterable[Any], sampler: Any) -> None:
        super().__init__(batches)
        self._sampler = sampler
        self._begin: dict[str, Any] | None = None
        self._resumed: Mapping[str, Any] | None = None
        self._drawn = self._checksum = 0
        self.trained = 0

    def __iter__(self) -> Iterator[Any]:
        """Yield the indices of all batches of a pass, also after a resume."""
        resumed, self._resumed = self._resumed, None
        self._drawn = self._checksum = 0
        if resumed is None or not resumed["drawn"]:
            self._begin = self._states()
            yield from self._counted()
            return
        now = capture_host_states()
        self._set(resumed["begin"])
        self._begin = self._states()
        batches = self._counted()
        # The loader drops these at once. Those that workers had fetched ahead are drawn here, too:
        # with fewer workers the training would continue between draws of the replay.
        trained = min(self.trained, resumed["drawn"])
        yield from islice(batches, trained)
        ahead = list(islice(batches, resumed["drawn"] - trained))
        restore_host_states(now)
        if self._drawn == resumed["drawn"] and self._checksum != resumed["checksum"]:
            self._warn()
        yield from ahead
        yield from batches

    def _counted(self) -> Iterator[Any]:
        for indices in self.batches:
            self._drawn += 1
            self._checksum = zlib.crc32(_content(indices), self._checksum)
            yield indices

    def end_pass(self) -> None:
        """Let the state be that of the next pass, whose indices are not drawn yet."""
        self._begin, self._drawn, self._checksum = None, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """Return the beginning of the pass; all ranks must save together."""
        if self._resumed is not None:
            return dict(self._resumed)
        begin = self._states() if self._begin is None else self._begin
        return {
            "begin": all_gather_object(begin),
            "drawn": self._drawn,
            "checksum": self._checksum,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Draw the next pass from the beginning that `state_dict` returned."""
        begins = state_dict.get("begin")
        if not begins:
            return  # of another loader
        rank = get_rank()
        # A rank that did not exist has no state: it draws as the first one did.
        begin = begins[rank if rank < len(begins) else 0] if isinstance(begins, list) else begins
        self._resumed = {**state_dict, "begin": begin}

    def _states(self) -> dict[str, Any]:
        stateful = {name: part.state_dict() for name, part in self._stateful().items()}
        return {"global": capture_host_states(), **stateful}

    def _set(self, begin: Mapping[str, Any]) -> None:
        restore_host_states(begin["global"])
        for name, part in self._stateful().items():
            if name in begin:
                part.load_state_dict(begin[name])

    def _stateful(self) -> dict[str, Any]:
        parts = {"sampler": self._sampler, "batch_sampler": self.batches}
        return {name: part for name, part in parts.items() if hasattr(part, "load_state_dict")}

    def _warn(self) -> None:
        _log.warning(
            "%s draws another order than before the interruption, so samples of this pass over the "
            "data may repeat or be left out; let it draw from a generator with a seed, or give it "
            "state_dict and load_state_dict",
            type(self._sampler).__name__,
        )
