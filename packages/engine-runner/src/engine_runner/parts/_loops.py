"""Build the loops."""

from collections.abc import Mapping
from typing import Any

from engine_registry import LOOPS
from engine_runner._errors import SettingsError
from engine_runner._loaders import check_loader
from engine_runner._settings import TABLE, Settings


def build_loop(key: str, loop: Any, runner: Any, settings: Settings) -> Any:
    """Return the loop of a config, or the loop given.

    A config without ``type`` gets the one that the key's row implies: ``train_cfg`` chooses it by
    ``by_epoch``.

    Args:
        key: ``"train_cfg"``, ``"val_cfg"`` or ``"test_cfg"``.
        loop: A loop or its config.
        runner: The run that the loop is a part of.
        settings: The settings of the run, with the loop's data loader and evaluator.

    Raises:
        SettingsError: The config has both ``type`` and ``by_epoch``, or ``train_cfg`` has neither;
            or the data has no batch, or does not divide its samples among the ranks.
    """
    mode = key.removesuffix("_cfg")
    if not isinstance(loop, Mapping):
        return _checked(mode, loop, runner)
    row = TABLE[key]
    for _, message in row.mistakes(key, loop):
        raise SettingsError(message)
    config = row.with_type(loop)
    for name in row.takes:
        config.pop(name, None)
    supplied = {"runner": runner}
    for name in row.adds[1:]:
        supplied[name] = getattr(settings, f"{mode}_{name}")
    return _checked(mode, LOOPS.build(config, default_args=supplied), runner)


def _checked(mode: str, loop: Any, runner: Any) -> Any:
    data = getattr(loop, "dataloader", None)
    check_loader(f"{mode}_dataloader", data, world_size=runner.world_size)
    if mode == "train" and hasattr(loop, "count_for"):  # a loop of the user's may be any object
        loop.count_for(runner.progress)
    return loop
