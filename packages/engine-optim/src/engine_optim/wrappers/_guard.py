"""Leave out the steps of losses that are NaN or infinite, or that jump."""

import math
from collections.abc import Collection, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from engine_dist import all_reduce
from engine_optim.wrappers._window import parameters_of

_LEAST = 20  # losses from which a median and a deviation are estimated
_NORMAL = 1.4826  # of a normal distribution: the standard deviation by the median one
_FLAT = 0.01  # the least deviation of losses that hardly change, by their median


class LossJumps:
    """Find losses that are far above the recent ones.

    A loss jumps if it is more than ``jump`` deviations above the median of the last ``window``
    losses. The deviation is robust: 1.4826 times the median absolute deviation from the median,
    and at least 1 % of the median. Losses that jump are left out of both. The first 20 losses do
    not jump.

    All values stay on the device of the losses, and nothing waits for it.

    Args:
        jump: The number of deviations.
        window: The number of losses that are compared.

    Raises:
        ValueError: ``jump`` is not positive, or ``window`` is less than 20.

    Example:
        >>> jumps = LossJumps(10)
        >>> [bool(jumps.found(torch.tensor(1 + 0.01 * (n % 5)))) for n in range(30)].count(True)
        0
        >>> bool(jumps.found(torch.tensor(5.0)))
        True
    """

    def __init__(self, jump: float, window: int = 100) -> None:
        if not (isinstance(jump, int | float) and 0 < jump < math.inf):
            raise ValueError(f"jump must be a number > 0, got {jump!r}")
        if not isinstance(window, int) or window < _LEAST:
            raise ValueError(f"window must be an integer >= {_LEAST}, got {window!r}")
        self.jump = jump
        self.window = window
        self._losses: Tensor | None = None  # NaN where there is none
        self._count = 0

    @torch.no_grad()
    def found(self, loss: Tensor) -> Tensor:
        """Return whether a loss jumps, as a boolean tensor, and add it to the others if not.

        Args:
            loss: A scalar.
        """
        loss = loss.detach().float()
        if self._losses is None:
            self._losses = loss.new_full((self.window,), math.nan)
        losses = self._losses = self._losses.to(loss.device)
        jumps = torch.zeros_like(loss, dtype=torch.bool)
        if self._count >= _LEAST:
            median = losses.nanmedian()
            deviation = _NORMAL * (losses - median).abs().nanmedian()
            jumps = loss > median + self.jump * torch.maximum(deviation, _FLAT * median.abs())
        nan = torch.full_like(loss, math.nan)
        losses[self._count % self.window] = torch.where(jumps | ~loss.isfinite(), nan, loss)
        self._count += 1
        return jumps

    def state_dict(self) -> dict[str, Any]:
        """Return the recent losses."""
        return {"losses": None if self._losses is None else self._losses.cpu(), "n": self._count}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Compare with the losses of a state; those of another ``window`` are dropped."""
        losses = state_dict["losses"]
        if losses is not None and len(losses) != self.window:
            return
        self._losses = None if losses is None else losses.clone()
        self._count = int(state_dict["n"])


class StepGuard:
    """Leave out the step of an optimizer if its loss or a gradient is NaN or infinite, or jumps.

    `OptimWrapper` calls it, if it has one. The gradients of a bad loss become NaN. Where ranks
    reduce their gradients, those of all ranks are NaN then, and all ranks leave out the step
    together. So there is no further collective, except for sharded gradients: one number is
    reduced.

    In each step one number is read from the device. An accumulation window is left out as a whole.

    Args:
        jumps: Finds losses that jump; by default none does.

    Attributes:
        skipped: Whether a step of the current iteration was left out.
        stepped: Whether a step of the current iteration was not left out.
        left_out: The number of steps that were left out.
        in_a_row: The number of them since the last step that was not.

    Example:
        >>> from engine_optim import OptimWrapper
        >>> model = nn.Linear(1, 1)
        >>> before = model.weight.clone()
        >>> wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
        >>> wrapper.guard = StepGuard()
        >>> wrapper.update_params(model(torch.full((1, 1), float("nan"))).sum())
        >>> wrapper.guard.left_out, torch.equal(before, model.weight)
        (1, True)
    """

    def __init__(self, jumps: LossJumps | None = None) -> None:
        self.jumps = jumps
        self.skipped = self.stepped = False
        self.left_out = self.in_a_row = 0
        self._calls = self._window = 0
        self._owed = 0  # iterations that schedules do not count

    def begin_iteration(self) -> None:
        """Note that an iteration begins."""
        self.skipped = self.stepped = False

    def marked(self, loss: Tensor, size: int = 1) -> Tensor:
        """Return a loss whose gradients are NaN if it is bad; otherwise it is unchanged.

        Args:
            loss: A scalar.
            size: The number by which it was divided.
        """
        self._calls += 1
        bad = ~loss.detach().isfinite()
        if self.jumps is not None:
            bad = bad | self.jumps.found(loss.detach() * size)
        one = torch.ones_like(loss)
        return loss * torch.where(bad, torch.full_like(one, math.nan), one)

    def leaves_out(self, optimizer: Optimizer) -> bool:
        """Return whether the step that is due is left out; this reads one number of the device.

        Args:
            optimizer: The optimizer, whose gradients ranks have reduced.
        """
        self._window, self._calls = self._calls, 0
        if _finite_gradients(optimizer):
            self.stepped, self.in_a_row = True, 0
            return False
        self.skipped = True
        self.left_out += 1
        self.in_a_row += 1
        return True

    def counts(self) -> bool:
        """Return whether schedules count the iteration that ends; call it once per iteration.

        A window that is left out is not counted: the last iterations of its length are skipped.
        """
        if step_of([self]) == "left out":
            self._owed += max(1, self._window)
        if self._owed:
            self._owed -= 1
            return False
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the numbers, and the recent losses."""
        return {
            "left_out": self.left_out,
            "in_a_row": self.in_a_row,
            "calls": self._calls,
            "owed": self._owed,
            "jumps": None if self.jumps is None else self.jumps.state_dict(),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue with the numbers and losses of a state."""
        self.left_out, self.in_a_row = state_dict["left_out"], state_dict["in_a_row"]
        self._calls, self._owed = state_dict["calls"], state_dict["owed"]
        if self.jumps is not None and state_dict["jumps"] is not None:
            self.jumps.load_state_dict(state_dict["jumps"])


def step_of(guards: Collection[StepGuard]) -> Literal["done", "left out", "not due"]:
    """Return what the current iteration has done with the steps of some optimizers.

    Args:
        guards: The guards of the optimizers.

    Returns:
        ``"done"`` if one has stepped, ``"left out"`` if all steps that were due are left out, and
        ``"not due"`` within an accumulation window. Weights change only if it is ``"done"``.

    Example:
        >>> step_of([StepGuard()])
        'not due'
    """
    if any(guard.stepped for guard in guards):
        return "done"
    return "left out" if any(guard.skipped for guard in guards) else "not due"


def _finite_gradients(optimizer: Optimizer) -> bool:
    found = [param.grad for param in parameters_of(optimizer) if param.grad is not None]
    if not found:
        return True
    sharded = any(hasattr(grad, "to_local") for grad in found)
    parts = [grad for grad in map(_values, found) if grad.numel()]  # a shard may be empty
    broken = torch.zeros((), device=found[0].device)
    if parts:
        # The largest absolute value: unlike a sum of squares it does not overflow.
        norm = nn.utils.get_total_norm(parts, norm_type=math.inf)
        broken = (~norm.isfinite()).to(torch.float32)
    if sharded:
        all_reduce(broken, "max")  # another rank has the shard that is not finite
    return not broken


def _values(gradient: Any) -> Tensor:
    """Return the values of a gradient on this rank: those of its shard, or of a sparse one."""
    local: Tensor = gradient.to_local() if hasattr(gradient, "to_local") else gradient
    return local.coalesce().values() if local.is_sparse else local
