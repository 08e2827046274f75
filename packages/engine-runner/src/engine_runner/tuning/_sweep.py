"""Train at rising learning rates, and collect the losses."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from engine_dist import all_reduce
from engine_runner._loaders import batches_of, no_batch
from engine_runner._types import Batch
from engine_runner._wrappers import wrappers_by_name
from engine_runner.runner import Runner
from engine_utils import did_you_mean

_DECAY = 0.9  # of the running average by which a divergence is seen


class Rates:
    """Set the learning rates of optimizers; parameter groups keep their ratios.

    Args:
        wrappers: The optimizer wrappers by name.
        chosen: The name of the one to set; None sets all.

    Raises:
        ValueError: There is no such optimizer, or its learning rate is 0.
    """

    def __init__(self, wrappers: Mapping[str, Any], chosen: str | None) -> None:
        if chosen is not None and chosen not in wrappers:
            names = ", ".join(name for name in wrappers if name)
            there = f"there are: {names}" if names else "the run has one, without a name"
            raise ValueError(
                f"optimizer must be a name of an optimizer, got {chosen!r}"
                f"{did_you_mean(chosen, wrappers)}; {there}"
            )
        self.wrappers = [one for name, one in wrappers.items() if chosen in (None, name)]
        base = float(self.wrappers[0].defaults.get("lr", 0.0))
        self._groups = [group for one in self.wrappers for group in one.scheduled_groups]
        given = [float(group.get("lr", 0.0)) for group in self._groups]
        base = base if base > 0 else max(given, default=0.0)
        if not base > 0:
            raise ValueError(
                f"the learning rate of the optimizer must be positive, got {base}; set lr, from "
                "which parameter groups keep their ratios"
            )
        self._ratios = [rate / base for rate in given]

    def set(self, rate: float) -> None:
        """Set the rate of the optimizer, and that of each group in its ratio to it."""
        for group, ratio in zip(self._groups, self._ratios, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * ratio)
            else:
                group["lr"] = rate * ratio

    @property
    def window(self) -> int:
        """The iterations of an update."""
        return max(getattr(one, "accumulative_counts", 1) for one in self.wrappers)


def sweep(
    runner: Runner, rates: Sequence[float], *, loss: str, optimizer: str | None, stop_factor: float
) -> tuple[list[float], bool]:
    """Train one update at each rate, and return the losses.

    Args:
        runner: The run; its model and optimizers are changed.
        rates: The learning rates.
        loss: The entry of the log variables of the model.
        optimizer: The optimizer whose rates are set; None for all.
        stop_factor: The multiple of the least loss at which the loss has diverged.

    Returns:
        The losses, which are fewer than the rates if the loss has diverged, and whether it has.
    """
    setter = Rates(wrappers_by_name(runner.optim_wrapper), optimizer)
    window = setter.window
    runner.model.train()
    runner.optim_wrapper.train()
    runner.optim_wrapper.initialize_count_status(runner.model, 0, len(rates) * window)
    batches = _endless_batches(runner.train_dataloader)
    losses: list[float] = []
    average, least = 0.0, math.inf
    for rate in rates:
        setter.set(rate)
        found = [_step(runner, batch, loss) for batch in islice(batches, window)]
        mean = torch.stack(found).mean()
        all_reduce(mean, op="mean")
        value = mean.item()
        if not math.isfinite(value):
            return losses, True
        losses.append(value)
        average = _DECAY * average + (1 - _DECAY) * value
        running = average / (1 - _DECAY ** len(losses))
        least = min(least, running)
        if running > stop_factor * least > 0:
            return losses, True
    return losses, False


def _step(runner: Runner, batch: Batch, loss: str) -> Tensor:
    outputs = runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper)
    try:
        value = outputs[loss]
    except (KeyError, TypeError) as error:
        names = list(outputs) if isinstance(outputs, Mapping) else []
        raise KeyError(
            f"loss must be a log variable of {runner.model_name}, got {loss!r}"
            f"{did_you_mean(loss, names)}; there are: {', '.join(names) or 'none'}"
        ) from error
    return torch.as_tensor(value).detach().float().mean()


def _endless_batches(loader: Any) -> Iterator[Batch]:
    """Yield batches, over and over the data."""
    empty_passes = 0
    while empty_passes < 2:  # a loader that resumes at the end of its data has an empty pass
        empty_passes += 1
        for batch in batches_of(loader):
            empty_passes = 0
            yield batch
    raise no_batch("train_dataloader", loader)
