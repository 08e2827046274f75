"""The ``type`` of a config at the top level that names none."""

from engine_runner._types import Config


def train_loop(config: Config) -> str | None:
    """Return the loop that ``by_epoch`` chooses."""
    if "by_epoch" not in config:
        return None
    return "EpochBasedTrainLoop" if config["by_epoch"] else "IterBasedTrainLoop"


def optim_wrapper(config: Config) -> str | None:
    """Return the wrapper of one optimizer."""
    return None if "constructor" in config or "optimizer" not in config else "OptimWrapper"


def visualizer(config: Config) -> str | None:
    """Return the visualizer of an empty config."""
    return None if config else "Visualizer"


def evaluator(config: Config) -> str | None:
    """Return the evaluator of metrics."""
    return "Evaluator" if "metrics" in config else None
