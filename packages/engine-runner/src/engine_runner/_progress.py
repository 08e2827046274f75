"""Count the epochs and iterations of a run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(slots=True, kw_only=True)
class Progress:
    """The counters of a training run, which are `Stateful`.

    Attributes:
        epoch: Finished epochs.
        iter: Finished iterations, over all epochs.
        validated: The value of the loop's counter (epochs or iterations) at the last finished
            validation; -1 before the first. A resumed run repeats a validation that was
            interrupted.

    Example:
        >>> progress = Progress(epoch=2, iter=50)
        >>> restored = Progress()
        >>> restored.load_state_dict(progress.state_dict())
        >>> restored == progress
        True
    """

    epoch: int = 0
    iter: int = 0
    validated: int = -1

    def advanced(self, *, epochs: int = 0, iterations: int = 0) -> "Progress":
        """Return a copy that is further by some epochs and iterations."""
        return replace(self, epoch=self.epoch + epochs, iter=self.iter + iterations)

    def state_dict(self) -> dict[str, int]:
        """Return the counters as plain integers."""
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set the counters to those of `state_dict`; other keys are ignored."""
        self.epoch = int(state.get("epoch", 0))
        self.iter = int(state.get("iter", 0))
        self.validated = int(state.get("validated", 0))
