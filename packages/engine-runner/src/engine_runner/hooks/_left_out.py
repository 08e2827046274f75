"""Leave out the steps of bad losses, and undo what their forward pass has changed."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine_optim import LossJumps, OptimWrapper, StepGuard
from engine_runner._errors import SettingsError
from engine_runner._protocols import Run
from engine_runner._wrappers import wrappers_by_name

_KEPT = 1000


class LeftOutSteps:
    """Guard each optimizer of a run, and give buffers back the values before a bad iteration.

    Statistics of a batch norm, for example, change in the forward pass.

    Args:
        jump: See `LossJumps`; None for no search.
        window: See `LossJumps`.

    Attributes:
        iterations: The last iterations, counted from 1, whose step was left out or is not yet due.
        window: The number of iterations whose step was last done or left out.

    Example:
        >>> LeftOutSteps(None, 100).count
        0
    """

    def __init__(self, jump: float | None, window: int) -> None:
        self._jump = jump
        self._window = window
        self._guards: dict[str, StepGuard] = {}
        self._resumed: Mapping[str, Any] = {}
        self._buffers: list[Tensor] = []
        self._saved: list[Tensor] = []
        self.iterations: deque[int] = deque(maxlen=_KEPT)
        self.window = 0
        self._due = 0  # the last ones of them, whose step is not yet due

    @property
    def count(self) -> int:
        """The number of steps that were left out."""
        return sum(guard.left_out for guard in self._guards.values())

    @property
    def in_a_row(self) -> int:
        """The most steps of one optimizer that were left out in a row."""
        return max((guard.in_a_row for guard in self._guards.values()), default=0)

    def attach(self, run: Run) -> None:
        """Guard the optimizers of a run.

        Raises:
            SettingsError: One of them is not an `OptimWrapper`.
        """
        for name, wrapper in wrappers_by_name(run.optim_wrapper).items():
            if not isinstance(wrapper, OptimWrapper):
                raise SettingsError(
                    "on_bad_loss must be 'raise' or a rollback with a "
                    f"{type(wrapper).__name__}, got 'skip', which needs an OptimWrapper"
                )
            guard = StepGuard(None if self._jump is None else LossJumps(self._jump, self._window))
            if name in self._resumed:
                guard.load_state_dict(self._resumed[name])
            wrapper.guard = self._guards[name] = guard
        self._resumed = {}
        self._buffers = list(run.model.buffers())

    def detach(self, run: Run) -> None:
        """Remove the guards."""
        if self._guards:
            for wrapper in wrappers_by_name(run.optim_wrapper).values():
                wrapper.guard = None

    @torch.no_grad()
    def begin_iteration(self, iteration: int) -> None:
        """Copy the buffers of the model, unless an accumulation window has begun before.

        Args:
            iteration: The iteration that begins, counted from 1.
        """
        self.iterations.append(iteration)
        self._due += 1
        for guard in self._guards.values():
            guard.begin_iteration()
        if not self._saved:
            self._saved = [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def end_iteration(self) -> bool:
        """Return whether a step was left out; give the buffers their former values if all were."""
        guards = self._guards.values()
        skipped = any(guard.skipped for guard in guards)
        stepped = any(guard.stepped for guard in guards)
        if skipped and not stepped:
            for buffer, saved in zip(self._buffers, self._saved, strict=True):
                buffer.copy_(saved)
        if skipped or stepped:
            self._saved, self.window = [], self._due
            while self._due and not skipped and self.iterations:
                self.iterations.pop()
                self._due -= 1
            self._due = 0
        return skipped

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the guards by the names of their optimizers."""
        return {name: guard.state_dict() for name, guard in self._guards.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue with the states when the guards are attached."""
        self._resumed = state_dict
