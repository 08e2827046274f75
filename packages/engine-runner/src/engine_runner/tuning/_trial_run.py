"""Build a run for a trial from a config, and leave nothing of it behind."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from os import PathLike, fspath
from tempfile import TemporaryDirectory
from typing import Any

from engine_config import Config
from engine_logging import MessageHub
from engine_runner._redirected import build_trial
from engine_runner.parts import default_hooks
from engine_runner.runner import Runner
from engine_visualization import Visualizer

_NOT_TRAINED = ("param_scheduler", "visualizer", "auto_scale_lr", "custom_hooks")
_EVALUATION = ("dataloader", "cfg", "evaluator")


@contextmanager
def trial_run(config: Config | Mapping[str, Any] | str | PathLike[str]) -> Iterator[Runner]:
    """Build a run that only trains, in a temporary folder, which is removed at the end.

    It has the model, the training data, the optimizers, the precision and the strategy of the
    config, without hooks, schedules, evaluation and visualizer.

    Args:
        config: A config, or the path of its file; it is not changed.

    Yields:
        The run.
    """
    given: Config | Mapping[str, Any]
    given = Config.fromfile(fspath(config)) if isinstance(config, str | PathLike) else config
    settings = deepcopy(given) if isinstance(given, Config) else Config(dict(given))
    evaluation = [f"{mode}_{part}" for mode in ("val", "test") for part in _EVALUATION]
    for name in (*_NOT_TRAINED, *evaluation):
        settings.pop(name, None)
    settings.default_hooks = dict.fromkeys(default_hooks())
    settings.resume = False
    settings.log_level = "WARNING"
    with TemporaryDirectory(prefix="engine-trial-") as folder:
        settings.work_dir = folder
        runner = build_trial(settings, given)
        try:
            yield runner
        finally:
            _release(runner)


def _release(runner: Runner) -> None:
    """Close the files of a run, and remove its named instances."""
    runner.visualizer.close()
    runner.logger.close()
    MessageHub.release_instance(runner.message_hub.instance_name)
    Visualizer.release_instance(runner.visualizer.instance_name)
