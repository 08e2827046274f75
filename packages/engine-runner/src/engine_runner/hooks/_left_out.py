"""Leave out the steps of bad losses, and undo what their forward pass has changed."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine_model import is_model_wrapper
from engine_optim import LossJumps, OptimWrapper, StepGuard, step_of
from engine_runner._errors import SettingsError
from engine_runner._protocols import Run
from engine_runner._wrappers import wrappers_by_name
from engine_runner.checkpoint import saved_buffers, values_of_ranks, values_of_this_rank

_KEPT = 1000


class LeftOutSteps:
    """Guard each optimizer of a run, and give buffers back the values before a bad iteration.

    Statistics of a batch norm, for example, change in the forward pass. The values at the beginning
    of an unfinished accumulation window are a part of the state: a run that is resumed within the
    window may leave it out.

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
        self._model: nn.Module | None = None
        self._whole = True  # whether the main rank alone writes checkpoints
        self._buffers: dict[str, Tensor] = {}
        self._saved: dict[str, Tensor] = {}  # the values at the beginning of the window
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
        """Guard the optimizers of a run, and continue with a state that was loaded before.

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
            if name in self._resumed.get("guards", {}):
                guard.load_state_dict(self._resumed["guards"][name])
            wrapper.guard = self._guards[name] = guard
        model: Any = run.model
        plain: nn.Module = model.module if is_model_wrapper(model) else model
        self._model, self._buffers = plain, dict(plain.named_buffers())
        self._whole = not run.checkpointer.sharded
        self._enter_window()

    @torch.no_grad()
    def _enter_window(self) -> None:
        """Continue in the accumulation window of a resumed run, if it was saved in one."""
        state, self._resumed = self._resumed, {}
        self._saved, self._due = {}, state.get("due", 0)
        if "iterations" in state:
            self.iterations = deque(state["iterations"], maxlen=_KEPT)
        if not self._due:
            return
        values = {**state["buffers"], **values_of_this_rank(state["buffers_of_ranks"])}
        self._saved = {name: buffer.clone() for name, buffer in self._buffers.items()}
        for name, saved in self._saved.items():
            if name in values and values[name].shape == saved.shape:
                saved.copy_(values[name])

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
            self._saved = {name: buffer.clone() for name, buffer in self._buffers.items()}

    @torch.no_grad()
    def end_iteration(self) -> bool:
        """Return whether a step was left out; give the buffers their former values if all were."""
        step = step_of(self._guards.values())
        if not self._due or step == "not due":
            return False
        if step == "left out":
            for name, saved in self._saved.items():
                self._buffers[name].copy_(saved)
        skipped = any(guard.skipped for guard in self._guards.values())
        for _ in range(0 if skipped else min(self._due, len(self.iterations))):
            self.iterations.pop()
        self._saved, self.window, self._due = {}, self._due, 0
        return skipped

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the guards, and that of the unfinished window.

        All ranks must save together, as their buffers may differ.
        """
        if self._resumed or self._model is None:  # not attached since
            return dict(self._resumed)
        state = {
            "guards": {name: guard.state_dict() for name, guard in self._guards.items()},
            "iterations": list(self.iterations),
            "due": self._due,
        }
        if not self._due:
            return state
        names = saved_buffers(self._model)
        own = {name: self._saved[name] for name in names if name in self._saved}
        return {
            **state,
            "buffers": own,
            "buffers_of_ranks": values_of_ranks(own, whole=self._whole),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue with a state when the guards are attached."""
        # Of a run without such steps it is empty; an older state has the guards alone.
        is_old = bool(state_dict) and "guards" not in state_dict
        self._resumed = {"guards": state_dict} if is_old else state_dict
