"""Options that stand for a value of the config."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine_runner.cli._options import CFG_OPTIONS

if TYPE_CHECKING:
    from engine_config import Config

Function = TypeVar("Function", bound=Callable[..., Any])

_DEVICES = ("cpu", "cuda", "cuda:0", "cuda:1", "mps")
_EPOCH_LOOP = "EpochBasedTrainLoop"


def _complete_device(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    return [device for device in _DEVICES if device.startswith(text)]


def seed_and_device(function: Function) -> Function:
    """Add ``--seed`` and ``--device`` to a command."""
    seed = click.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of all random numbers."
    )
    device = click.option(
        "--device",
        shell_complete=_complete_device,
        help="cpu, cuda, cuda:1, mps …; else the accelerator that is found.",
    )
    return seed(device(function))


def set_value(config: "Config", option: str, key_path: str, value: object) -> None:
    """Set a value of the config, with the option as its origin.

    Args:
        config: The merged config.
        option: The option of the command line, such as ``--seed``.
        key_path: The key that it stands for.
        value: The value.

    Raises:
        click.UsageError: ``--cfg-options`` sets another value for the key.
    """
    from engine_config import ConfigError

    try:
        set_before = str(config.origin(key_path).file) == CFG_OPTIONS
    except ConfigError:  # there is no such key yet
        set_before = False
    if set_before and (other := _value(config, key_path)) != value:
        raise click.UsageError(
            f"{option} {value} and {CFG_OPTIONS} {key_path}={other} contradict each other; "
            "leave out one of them"
        )
    config.merge_from_dict({key_path: value}, origin=option)


def set_seed_and_device(config: "Config", seed: int | None, device: str | None) -> None:
    """Set the seed and the device of a run; the launcher must be set before.

    Raises:
        click.UsageError: This machine does not have the device, or the launcher chooses it.
    """
    if seed is not None:
        set_value(config, "--seed", "randomness.seed", seed)
    if device is None:
        return
    from engine_runner.environment import check_device

    try:
        check_device(device, config.get("launcher", "none"))
    except ValueError as error:
        raise click.UsageError(f"--device: {error}") from error
    set_value(config, "--device", "env_cfg.device", device)


def set_epochs(config: "Config", epochs: int) -> None:
    """Set the epochs to train; schedules keep what the config says.

    Raises:
        click.UsageError: The training does not count epochs.
    """
    loop = config.get("train_cfg")
    if not isinstance(loop, Mapping):
        raise click.UsageError("--epochs needs train_cfg in the config, which trains nothing")
    kind = loop.get("type", _EPOCH_LOOP if loop.get("by_epoch") else None)
    counts_epochs = "max_epochs" in loop or getattr(kind, "__name__", kind) == _EPOCH_LOOP
    if loop.get("by_epoch") is False or "max_iters" in loop or not counts_epochs:
        name = getattr(kind, "__name__", kind) or "IterBasedTrainLoop"
        raise click.UsageError(
            f"--epochs needs a training by epochs, and train_cfg is that of {name}; set its end "
            f"with {CFG_OPTIONS} train_cfg.max_iters=N"
        )
    set_value(config, "--epochs", "train_cfg.max_epochs", epochs)


def _value(config: "Config", key_path: str) -> Any:
    value: Any = config
    for key in key_path.split("."):
        value = value[key]
    return value
