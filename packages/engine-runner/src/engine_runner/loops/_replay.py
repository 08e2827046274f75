"""Resume data loaders that cannot save their position: read the past batches again."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from engine_dist import all_gather_object, get_rank
from engine_runner._loaders import batches_of
from engine_runner._types import Batch
from engine_runner.environment import capture_host_states, restore_host_states

_log = logging.getLogger("engine.runner")


class Replay:
    """Count the batches of a loader without ``state_dict``, and skip past ones after a resume.

    The state has the number of batches, and the random generators at the beginning of the pass,
    from which the order of the samples is drawn. A resumed run draws the same order, reads the past
    batches again and drops them. That costs the time of reading them, and is logged as a warning.

    Args:
        loader: Any iterable of batches.

    Attributes:
        batches_consumed: The number of batches of the current pass that were received.

    Example:
        >>> replay = Replay([1, 2, 3])
        >>> batches = iter(replay)
        >>> next(batches), next(batches)
        (1, 2)
        >>> resumed = Replay([1, 2, 3])
        >>> resumed.load_state_dict(replay.state_dict())
        >>> list(resumed)
        [3]
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.batches_consumed = 0
        self._begin: dict[str, Any] | None = None
        self._resumed: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of a pass; after `load_state_dict`, the rest of one."""
        resumed, self._resumed = self._resumed, None
        skipped = self.batches_consumed = 0 if resumed is None else self.batches_consumed
        now = capture_host_states()
        self._set(resumed)
        self._begin = self._states()
        batches = batches_of(self.loader)
        if skipped:
            self._skip(batches, skipped)
            restore_host_states(now)
        for batch in batches:
            self.batches_consumed += 1
            yield batch
        self.batches_consumed, self._begin = 0, None

    def _skip(self, batches: Iterator[Batch], count: int) -> None:
        _log.warning(
            "%s has no position to resume: the first %d batches of the pass are read again and "
            "skipped. A loader given as a config resumes without reading them",
            *(type(self.loader).__name__, count),
        )
        for number in range(count):
            try:
                next(batches)
            except StopIteration:
                _log.warning("%s has %d batches now, fewer than that", self.loader, number)
                return

    def state_dict(self) -> dict[str, Any]:
        """Return the position; all ranks must save together."""
        begin = self._resumed or self._begin or self._states()
        return {"batches": self.batches_consumed, "begin": all_gather_object(begin)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Skip the batches of ``state_dict`` in the next iteration.

        Args:
            state_dict: A state of this class. The state of another kind of loader has at least
                the number of its batches.
        """
        self.batches_consumed = int(state_dict.get("batches", 0))
        begin = state_dict.get("begin", [])
        # A rank that did not exist has no state: it skips in the order that it draws now.
        self._resumed = begin[get_rank()] if get_rank() < len(begin) else {}

    def _set(self, begin: dict[str, Any] | None) -> None:
        """Set the generators to the beginning of a pass."""
        if not begin:
            return
        if self.batches_consumed:  # between two passes, the checkpoint has the global ones
            restore_host_states(begin["global"])
        for name, generator in self._generators().items():
            if name in begin["own"]:
                generator.set_state(begin["own"][name])

    def _states(self) -> dict[str, Any]:
        own = {name: generator.get_state() for name, generator in self._generators().items()}
        return {"global": capture_host_states(), "own": own}

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
