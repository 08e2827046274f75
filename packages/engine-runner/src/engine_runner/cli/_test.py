"""``engine test``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine_runner._errors import SettingsError
from engine_runner._types import LAUNCHERS
from engine_runner.cli._check import check_before
from engine_runner.cli._folder import note_owner, removed_if_unused, set_work_dir
from engine_runner.cli._options import (
    PATH,
    ConfigCommand,
    complete_file,
    config_arguments,
    read_config,
    require_checkpoint,
)
from engine_runner.cli._shortcuts import seed_and_device, set_seed_and_device
from engine_runner.cli._train import set_launcher
from engine_utils import expand_home

if TYPE_CHECKING:
    from engine_config import Config

_EXAMPLES = """
\b
Examples:
  engine test config.py work_dirs/config/epoch_5.pth
  engine test config.py best.pth --device cpu
  engine test config.py best.pth --cfg-options test_dataloader.batch_size=256
  engine test config.py best.pth --tta
"""


def _with_tta(config: "Config") -> "Config":
    """Return the config of a test with test-time augmentation."""
    from engine_runner.hooks import tta_config  # loads torch

    try:
        return tta_config(config)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


@click.command(cls=ConfigCommand, epilog=_EXAMPLES)
@config_arguments
@click.argument("checkpoint", shell_complete=complete_file)
@click.option("--work-dir", type=PATH, help="Folder of the log of the test.")
@click.option(
    "--launcher",
    type=click.Choice(LAUNCHERS),
    help="How processes were started; torchrun is recognized.",
)
@click.option(
    "--partial", is_flag=True, help="Accept a checkpoint that lacks weights of the model."
)
@seed_and_device
@click.option("--tta", is_flag=True, help="Test with tta_model and tta_pipeline of the config.")
def test(
    config_file: Path,
    checkpoint: str,
    cfg_options: tuple[str, ...],
    work_dir: Path | None,
    launcher: str | None,
    partial: bool,
    seed: int | None,
    device: str | None,
    tta: bool,
) -> None:
    """Test the model that CONFIG describes with the weights of CHECKPOINT."""
    config = read_config(config_file, cfg_options)
    checkpoint = expand_home(checkpoint)
    require_checkpoint(checkpoint)
    set_work_dir(config, config_file, work_dir)
    set_launcher(config, launcher)
    set_seed_and_device(config, seed, device)
    config.merge_from_dict({"load_from": checkpoint, "resume": False}, origin="engine test")
    if tta:
        config = _with_tta(config)

    check_before(config, trains=False)
    from engine_registry import RUNNERS
    from engine_runner import Runner
    from engine_runner.cli._start_hooks import Began, CheckWeights

    with removed_if_unused(config) as built:
        runner = RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
        built.append(runner)
        note_owner(runner, config_file)
        for hook in (Began(), *([] if partial else [CheckWeights(checkpoint)])):
            runner.register_hook(hook)
        metrics = runner.test()
    if runner.is_main:
        for name, value in metrics.items():
            click.echo(f"{name}: {value}")
