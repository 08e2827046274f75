"""Choose what saves the position in the training data."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import IterableDataset

from engine_dataset import ResumableDataLoader
from engine_dist import all_gather_object, get_rank
from engine_runner._loaders import batches_of
from engine_runner._types import Batch
from engine_runner.environment import capture_host_states, restore_host_states
from engine_runner.loops._replay import Replay

_log = logging.getLogger("engine.runner")


def position_of(loader: Any, epoch_length: int | None = None) -> Any:
    """Return what saves the position in the data of a loader: the loader itself, or an object.

    Args:
        loader: Any iterable of batches.
        epoch_length: The number of batches after which an epoch ends, for data without a length.
    """
    if isinstance(loader, ResumableDataLoader):
        unordered = not loader.in_order and loader.num_workers
        if unordered or isinstance(loader.dataset, IterableDataset):
            return Replay(loader, epoch_length)
        return loader
    stateful = hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")
    if stateful and epoch_length is None:
        return StatefulPosition(loader)
    return Replay(loader, epoch_length)


class StatefulPosition:
    """The position of a loader with ``state_dict``, such as torchdata's ``StatefulDataLoader``.

    It counts the batches of the epoch, and has the state of the loader on each rank.

    Args:
        loader: The loader. Its ``load_state_dict`` lets the next iteration continue there.

    Attributes:
        batches_consumed: The number of batches of the current epoch that were received.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.batches_consumed = 0
        self._resumes = False

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of a pass; after `load_state_dict`, the rest of one."""
        batches = None
        if self._resumes:
            # The loader may draw random numbers here, as it did before the checkpoint.
            now = capture_host_states()
            batches = iter(self.loader)
            restore_host_states(now)
        else:
            self.batches_consumed = 0
        self._resumes = False
        for batch in batches_of(self.loader, batches):
            self.batches_consumed += 1
            yield batch
        self.batches_consumed = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the number of batches, and the states of all ranks; they must save together."""
        states = all_gather_object(self.loader.state_dict())
        return {"batches": self.batches_consumed, "loaders": states}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue at the position that `state_dict` returned.

        Args:
            state_dict: A state of this class, saved on as many ranks.
        """
        states = state_dict.get("loaders")
        if not isinstance(states, list) or get_rank() >= len(states):
            _log.warning(
                "the checkpoint has no position of a %s on this rank; the pass begins again at its "
                "first batch",
                type(self.loader).__name__,
            )
            return
        self.loader.load_state_dict(states[get_rank()])
        self.batches_consumed = int(state_dict["batches"])
        # Between two passes, the next one is a new pass, whose draws are part of the run.
        self._resumes = self.batches_consumed > 0
