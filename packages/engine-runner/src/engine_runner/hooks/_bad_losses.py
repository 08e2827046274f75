"""Find bad losses in the history of a run: those that are NaN or infinite, or that jump."""

import math
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine_optim import LossJumps
from engine_runner._types import Outputs
from engine_runner._wrappers import wrappers_by_name

# A gradient scaler skips the steps of an overflow, and halves its scale from 65536 on. After as
# many iterations in a row the forward pass itself overflows.
IN_A_ROW = 20


class BadLoss(NamedTuple):
    """The first bad loss of some iterations.

    Attributes:
        iteration: The iteration, counted from 1.
        problem: What is wrong, without the iteration.
        others: Further losses of that iteration that are not finite.
    """

    iteration: int
    problem: str
    others: tuple[str, ...] = ()


def losses_of(hub: Any, count: int) -> dict[str, list[float]]:
    """Return the last values of each loss of the training; this waits for the device.

    Args:
        hub: The message hub of the run.
        count: The number of values.
    """
    return {
        name.removeprefix("train/"): buffer.recent(count)
        for name, buffer in hub.log_scalars.items()
        if name.startswith("train/") and "loss" in name
    }


def first_non_finite(
    losses: Mapping[str, list[float]], reached: int, count: int, known: Container[int] = ()
) -> BadLoss | None:
    """Return the earliest of the last losses that is not finite, or None.

    Of the losses of one iteration the part comes before the total, which only adds up the parts.

    Args:
        losses: The values of each loss.
        reached: The iteration of the last values.
        count: The number of iterations to search.
        known: Iterations to leave out.
    """
    found: dict[int, list[tuple[bool, str, float]]] = {}
    for name, values in losses.items():
        recent = values[-count:]
        for iteration, value in enumerate(recent, reached + 1 - len(recent)):
            if not math.isfinite(value) and iteration not in known:
                found.setdefault(iteration, []).append((name == "loss", name, value))
    if not found:
        return None
    iteration = min(found)
    (_, name, value), *others = sorted(found[iteration], key=lambda entry: entry[0])
    also = tuple(other for _, other, _ in others)
    return BadLoss(iteration, f"{name} must be finite, got {value}", also)


def bad_of_window(hub: Any, reached: int, size: int) -> tuple[int, str]:
    """Return the first iteration of a window that has a loss which is not finite, and its losses.

    Without one it is the last iteration, and the text is empty.

    Args:
        hub: The message hub of the run.
        reached: The last iteration of the window, counted from 1.
        size: The number of iterations of the window.
    """
    losses = losses_of(hub, size)
    found = first_non_finite(losses, reached, size)
    if found is None:
        return reached, ""
    back = found.iteration - reached - 1
    values = [f"{name} {recent[back]:g}" for name, recent in losses.items() if len(recent) >= -back]
    return found.iteration, ", ".join(values)


def overflow(losses: Mapping[str, list[float]], reached: int, length: int) -> BadLoss | None:
    """Return a loss that was not finite for as long as a scaler cannot mend, or None.

    Args:
        losses: The values of each loss.
        reached: The iteration of the last values.
        length: The number of iterations in a row.
    """
    lasting = {
        name: values
        for name, values in losses.items()
        if len(values) >= length > 0 and not any(map(math.isfinite, values[-length:]))
    }
    return first_non_finite(lasting, reached, length)


def first_jump(
    jumps: LossJumps, losses: Mapping[str, list[float]], reached: int, count: int
) -> BadLoss | None:
    """Return the earliest of the last total losses that jumps, or None.

    Args:
        jumps: Compares the losses with earlier ones, and takes those that do not jump over.
        losses: The values of each loss.
        reached: The iteration of the last values.
        count: The number of iterations to search.
    """
    values = losses.get("loss", [])[-count:]
    for iteration, value in enumerate(values, reached + 1 - len(values)):
        if jumps.found(torch.tensor(value)):
            return BadLoss(
                iteration,
                f"loss must be at most {jumps.jump:g} deviations above the median of the last "
                f"losses, got {value:g}",
            )
    return None


def losses_in(outputs: Outputs) -> tuple[str, bool]:
    """Return the losses of an iteration with their values, and whether all are finite.

    Args:
        outputs: What the model has returned for a batch.
    """
    values = outputs if isinstance(outputs, Mapping) else {}
    losses = {
        name: float(value.detach() if isinstance(value, Tensor) else value)
        for name, value in values.items()
        if "loss" in name
    }
    text = ", ".join(f"{name} {value:g}" for name, value in losses.items())
    return text, all(map(math.isfinite, losses.values()))


def has_scaler(optim_wrapper: Any) -> bool:
    """Return whether an optimizer scales its loss."""
    wrappers = wrappers_by_name(optim_wrapper).values()
    return any(getattr(wrapper, "loss_scaler", None) is not None for wrapper in wrappers)
