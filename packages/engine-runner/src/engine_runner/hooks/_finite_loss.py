"""Stop a training whose loss or weights are not finite."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

from engine_registry import HOOKS
from engine_runner._errors import NonFiniteLossError
from engine_runner._hook import Hook
from engine_runner._protocols import Run
from engine_runner._wrappers import wrappers_by_name
from engine_runner.checkpoint import MARKER, broken_weight, marked_at, non_finite_weights

Action = Literal["stop", "warn"]

# A gradient scaler skips the steps of an overflow, and halves its scale from 65536 on. After as
# many iterations in a row the forward pass itself overflows.
_SKIPPED_STEPS = 20


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop the training if a loss is NaN or infinite, before such weights are saved.

    `Runner` registers it by default; ``default_hooks=dict(finite_loss=None)`` leaves it out. It
    checks the losses of each iteration, but reads them only where the run reads its losses anyway:
    when it logs, at the end of an epoch, and before a checkpoint. There it also checks the weights
    that are trained, except those that were not finite when the training began.

    With a gradient scaler (float16) a step whose gradients overflow is skipped, and is not an
    error. Only 20 iterations in a row without a finite loss are one.

    Args:
        action: ``"stop"`` raises the error. ``"warn"`` logs it once, and again after the loss has
            been finite in between.

    Raises:
        ValueError: ``action`` is neither of these.

    Example:
        >>> FiniteLossHook(action="ignore")
        Traceback (most recent call last):
        ...
        ValueError: action must be one of stop, warn, got 'ignore'; default_hooks=dict(finite_...
    """

    priority = "LOW"

    def __init__(self, action: Action = "stop") -> None:
        if action not in get_args(Action):
            raise ValueError(
                f"action must be one of {', '.join(get_args(Action))}, got {action!r}; "
                "default_hooks=dict(finite_loss=None) leaves this check out"
            )
        self.action = action
        self._trains = False
        self._checked = 0  # iterations whose losses were checked
        self._warned = False
        self._earlier_mark: int | None = None
        self._from_start: set[str] = set()  # weights that were not finite before the training

    @property
    def stops(self) -> bool:
        """Whether the training ends before weights that are not finite are saved."""
        return self.action == "stop"

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Check nothing outside of a training: a checkpoint saved there is the caller's."""
        self._trains = False
        try:
            yield
        finally:
            self._trains = False

    def before_train(self, runner: Run) -> None:
        """Check the losses from now on, not those in the history of a resumed run."""
        self._trains, self._warned, self._checked = True, False, runner.iter
        self._from_start = set(non_finite_weights(runner.model))
        # A resumed run has begun with finite weights; otherwise an older mark is another run's.
        self._earlier_mark = None if runner.iter else marked_at(runner.work_dir)

    def after_log(self, runner: Run) -> None:
        """Check the losses that `LoggerHook` has just read from the device.

        Raises:
            NonFiniteLossError: One is not finite.
        """
        self._check_losses(runner)

    def after_train_epoch(self, runner: Run) -> None:
        """Check the losses since the last line of the log.

        Raises:
            NonFiniteLossError: One is not finite.
        """
        self._check_losses(runner)

    def before_save_checkpoint(self, runner: Run, checkpoint: dict[str, Any]) -> None:
        """Check the losses, and the weights that are saved.

        Raises:
            NonFiniteLossError: A loss, or a weight that is trained, is not finite.
        """
        if not self._trains:
            return
        self._check_losses(runner)
        name = broken_weight(runner.model, self._from_start)
        if name is not None:
            self._act(runner, f"the weights must be finite, got NaN or infinity in {name!r}")

    def _check_losses(self, runner: Run) -> None:
        hub = runner.message_hub
        reached = int(hub.get_info("iter", default=-1)) + 1
        count, self._checked = reached - self._checked, max(reached, self._checked)
        if count <= 0:
            return
        window = max(count, _SKIPPED_STEPS)
        losses = {
            name.removeprefix("train/"): buffer.recent(window)
            for name, buffer in hub.log_scalars.items()
            if name.startswith("train/") and "loss" in name
        }
        scaled = _has_scaler(runner.optim_wrapper)
        found = _overflow(losses) if scaled else _first_non_finite(losses, count)
        if found is None:
            self._warned = False
            return
        name, before_last, value = found
        self._act(
            runner,
            f"{name} must be finite, got {value} at iteration {reached - before_last} "
            f"with {_rates(runner.optim_wrapper.get_lr())}",
        )

    def _act(self, runner: Run, problem: str) -> None:
        message = (
            f"{problem}; lower the learning rate, limit the gradients with "
            "optim_wrapper.clip_grad=dict(max_norm=1.0), or find the operation with "
            f"torch.autograd.set_detect_anomaly(True). {self._last_checkpoint(runner)}"
        )
        if self.stops:
            raise NonFiniteLossError(message)
        if not self._warned:
            runner.logger.warning(message)
        self._warned = True

    def _last_checkpoint(self, runner: Run) -> str:
        time = marked_at(runner.work_dir)
        if time is None or time == self._earlier_mark:
            return "No checkpoint was saved before."
        path = Path(runner.work_dir, MARKER).read_text(encoding="utf-8", errors="replace").strip()
        return f"The last checkpoint is {path}"


def _first_non_finite(
    losses: Mapping[str, list[float]], count: int
) -> tuple[str, int, float] | None:
    """Return the earliest of the last ``count`` losses that is not finite, or None.

    Returns:
        Its name, how many iterations before the last one it is, and its value. Of losses of one
        iteration the part comes before the total, which only adds up the parts.
    """
    found = []
    for name, values in losses.items():
        recent = values[-count:]
        for index, value in enumerate(recent):
            if not math.isfinite(value):
                found.append((index + 1 - len(recent), name == "loss", name, value))
                break
    if not found:
        return None
    before, _, name, value = min(found, key=lambda entry: entry[:2])
    return name, -before, float(value)


def _overflow(losses: Mapping[str, list[float]]) -> tuple[str, int, float] | None:
    """Return a loss that was not finite for as long as a scaler cannot mend, or None."""
    lasting = {
        name: values
        for name, values in losses.items()
        if len(values) >= _SKIPPED_STEPS and not any(map(math.isfinite, values[-_SKIPPED_STEPS:]))
    }
    return _first_non_finite(lasting, _SKIPPED_STEPS)


def _has_scaler(optim_wrapper: Any) -> bool:
    wrappers = wrappers_by_name(optim_wrapper).values()
    return any(getattr(wrapper, "loss_scaler", None) is not None for wrapper in wrappers)


def _rates(rates: Mapping[str, list[float]]) -> str:
    return ", ".join(f"{name} {values[0]:g}" for name, values in rates.items() if values)
