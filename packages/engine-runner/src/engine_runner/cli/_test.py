"""``engine test``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine_runner._errors import SettingsError
from engine_runner._hook import Hook
from engine_runner._rules import LAUNCHERS
from engine_runner.cli._check import check_before
from engine_runner.cli._folder import removed_if_unused, set_work_dir
from engine_runner.cli._options import ConfigCommand, config_arguments, read_config
from engine_runner.cli._train import expanded, set_launcher

if TYPE_CHECKING:
    from engine_config import Config
    from engine_runner.runner import Runner

_EXAMPLES = """
\b
Examples:
  engine test config.py work_dirs/config/epoch_5.pth
  engine test config.py best.pth --cfg-options test_dataloader.batch_size=256
  engine test config.py best.pth --tta
"""


class CheckWeights(Hook):
    """Raise before a test whose model did not get all its weights from the checkpoint."""

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def before_test(self, runner: "Runner") -> None:
        """Raise if a weight did not fit when the checkpoint was loaded."""
        runner.checkpointer.check_weights(
            self.checkpoint, runner.model_name, "--partial tests the model all the same"
        )


def _with_tta(config: "Config") -> "Config":
    """Return the config of a test with test-time augmentation."""
    from engine_runner.hooks import tta_config  # loads torch

    try:
        return tta_config(config)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


@click.command(cls=ConfigCommand, epilog=_EXAMPLES)
@config_arguments
@click.argument("checkpoint")
@click.option("--work-dir", type=click.Path(path_type=Path), help="Folder of the log of the test.")
@click.option(
    "--launcher",
    type=click.Choice(LAUNCHERS),
    help="How processes were started; torchrun is recognized.",
)
@click.option(
    "--partial", is_flag=True, help="Accept a checkpoint that lacks weights of the model."
)
@click.option("--tta", is_flag=True, help="Test with tta_model and tta_pipeline of the config.")
def test(
    config_file: Path,
    checkpoint: str,
    cfg_options: tuple[str, ...],
    work_dir: Path | None,
    launcher: str | None,
    partial: bool,
    tta: bool,
) -> None:
    """Test the model that CONFIG describes with the weights of CHECKPOINT."""
    config = read_config(config_file, cfg_options)
    checkpoint = expanded(checkpoint)
    if "://" not in checkpoint and not Path(checkpoint).is_file():
        raise click.UsageError(f"no such checkpoint: {checkpoint}")
    set_work_dir(config, config_file, work_dir)
    set_launcher(config, launcher)
    config.load_from = checkpoint
    config.resume = False
    if tta:
        config = _with_tta(config)

    check_before(config, trains=False)
    from engine_registry import RUNNERS
    from engine_runner import Runner

    with removed_if_unused(config):
        runner = RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
    if not partial:
        runner.register_hook(CheckWeights(checkpoint))
    metrics = runner.test()
    if runner.is_main:
        for name, value in metrics.items():
            click.echo(f"{name}: {value}")
