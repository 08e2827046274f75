"""Find a learning rate: train a little at rising rates, and look at the loss."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from engine_config import Config
from engine_runner._errors import SettingsError
from engine_runner._instances import with_instances
from engine_runner._integer import integer
from engine_runner.loops import check_steps
from engine_runner.runner import Runner
from engine_runner.tuning._suggest import smoothed, suggested_rate
from engine_runner.tuning._sweep import sweep
from engine_runner.tuning._trial_run import trial_run
from engine_runner.tuning._unchanged import unchanged
from engine_utils import expand_home
from engine_visualization.plots import plot_learning_rates

_SMOOTHING = 0.03  # of the number of rates
_WITHOUT_MODULE = [("^module.", "")]


@dataclass(frozen=True, kw_only=True)
class LearningRateCurve:
    """The losses at rising learning rates.

    Attributes:
        rates: The learning rates.
        losses: The loss at each rate.
        smoothed: The loss at each rate, averaged with its neighbours.
        suggestion: The rate at which the smoothed loss falls fastest, over the logarithm of the
            rate; ``None`` if it does not fall.
        diverged: Whether the search ended early, as the loss was diverging.

    Example:
        >>> curve = LearningRateCurve(rates=[0.1, 1.0], losses=[2.0, 1.0], smoothed=[2.0, 1.0],
        ...                           suggestion=0.1, diverged=False)
        >>> curve.suggestion
        0.1
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float | None
    diverged: bool

    def plot(self, out_png: str | PathLike[str]) -> str:
        """Plot the curve and the suggestion, and return the path of the image.

        Args:
            out_png: The path, on any storage of engine-fileio.

        Raises:
            ImportError: The extra ``engine-visualization[plots]`` is not installed.
        """
        return plot_learning_rates(self.rates, self.losses, self.smoothed, self.suggestion, out_png)


def find_learning_rate(
    runner_or_cfg: Runner | Config | Mapping[str, Any] | str | PathLike[str],
    min_lr: float = 1e-6,
    max_lr: float = 10.0,
    num_iters: int = 100,
    *,
    stop_factor: float = 4.0,
    loss: str = "loss",
    optimizer: str | None = None,
) -> LearningRateCurve:
    """Train at rising learning rates, and return the losses and a suggestion.

    The rate rises by a constant factor at each update (Smith, "Cyclical Learning Rates for Training
    Neural Networks", arXiv:1506.01186, section 3.3). The suggestion is the rate at which the
    smoothed loss falls fastest over the logarithm of the rate. A rate is that of
    ``optim_wrapper.optimizer.lr``: parameter groups, and several optimizers, keep their ratios to
    it. With accumulation a rate holds for a whole window.

    Nothing remains of the search: it writes no folder, and weights, buffers, optimizers, the
    position in the data and random numbers of a runner are restored. No hook is called, and no
    schedule acts. The search begins with the initial weights, or those of ``load_from``; that of a
    runner that has trained, with the weights that it has. All ranks must call this; the losses are
    averaged over them.

    Args:
        runner_or_cfg: A runner that is configured to train, a config, or the path of its file.
        min_lr: The first rate.
        max_lr: The last rate.
        num_iters: The number of rates.
        stop_factor: End the search when the running average of the loss is this many times the
            least one.
        loss: The entry of the model's log variables to look at.
        optimizer: Of several optimizers, the one whose rate rises; by default all of them.

    Raises:
        ValueError: An option is out of range, or names no optimizer.
        KeyError: The model logs no such loss.
        SettingsError: The training data can be read only once, or has no batch.
    """
    if not 0 < min_lr < max_lr < math.inf:
        raise ValueError(
            f"min_lr and max_lr must be 0 < min_lr < max_lr, got {min_lr!r} and {max_lr!r}"
        )
    if not stop_factor > 1:
        raise ValueError(f"stop_factor must be greater than 1, got {stop_factor!r}")
    steps = integer("num_iters", num_iters, at_least=2)
    ratio = (max_lr / min_lr) ** (1 / (steps - 1))
    rates = [min_lr * ratio**index for index in range(steps)]
    options = {"loss": loss, "optimizer": optimizer, "stop_factor": stop_factor}
    if isinstance(runner_or_cfg, Runner):
        return _find(runner_or_cfg, rates, options)
    with trial_run(runner_or_cfg) as runner:
        return _find(runner, rates, options)


@with_instances
def _find(runner: Runner, rates: list[float], options: Mapping[str, Any]) -> LearningRateCurve:
    # In the order of `Runner.train`, as building a dataset may draw random numbers.
    loader, _ = runner.train_loop.dataloader, runner.val_loop
    check_steps(runner.model, "train")
    if isinstance(loader, Iterator):
        raise SettingsError(
            f"train_dataloader must be iterable again, got the iterator {type(loader).__name__}, "
            "whose batches the training would miss; give a list or a DataLoader"
        )
    with unchanged(runner):
        _load_first_weights(runner)
        losses, diverged = sweep(runner, rates, **options)
    curve = smoothed(losses, _SMOOTHING)
    return LearningRateCurve(
        rates=rates[: len(losses)],
        losses=losses,
        smoothed=curve,
        suggestion=suggested_rate(rates[: len(losses)], curve),
        diverged=diverged,
    )


def _load_first_weights(runner: Runner) -> None:
    """Initialize the model, and load ``load_from``, as a training does at its start."""
    if runner.iter > 0:
        return
    checkpointer = runner.checkpointer
    checkpointer.initialize(runner.model)
    path = runner._settings.load_from
    if path is not None and checkpointer.load_report is None:
        path = expand_home(path)
        arguments = checkpointer.arguments_for(runner, path)
        checkpoint = checkpointer.read(path, backend_args=arguments)
        checkpointer.load_weights(runner.model, checkpoint, revise_keys=_WITHOUT_MODULE)
