"""``engine test``."""

from pathlib import Path

import click

from engine_runner._types import LAUNCHERS
from engine_runner.cli._check import check_before
from engine_runner.cli._folder import removed_if_unused, set_work_dir
from engine_runner.cli._options import ConfigCommand, config_arguments, read_config
from engine_runner.cli._shortcuts import seed_and_device, set_seed_and_device
from engine_runner.cli._train import expanded, set_launcher

_EXAMPLES = """
\b
Examples:
  engine test config.py work_dirs/config/epoch_5.pth
  engine test config.py best.pth --device cpu
  engine test config.py best.pth --cfg-options test_dataloader.batch_size=256
"""


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
@seed_and_device
def test(
    config_file: Path,
    checkpoint: str,
    cfg_options: tuple[str, ...],
    work_dir: Path | None,
    launcher: str | None,
    partial: bool,
    seed: int | None,
    device: str | None,
) -> None:
    """Test the model that CONFIG describes with the weights of CHECKPOINT."""
    config = read_config(config_file, cfg_options)
    checkpoint = expanded(checkpoint)
    if "://" not in checkpoint and not Path(checkpoint).is_file():
        raise click.UsageError(f"no such checkpoint: {checkpoint}")
    set_work_dir(config, config_file, work_dir)
    set_launcher(config, launcher)
    set_seed_and_device(config, seed, device)
    config.load_from = checkpoint
    config.resume = False

    check_before(config, trains=False)
    from engine_registry import RUNNERS
    from engine_runner import Runner
    from engine_runner.cli._check_weights import CheckWeights

    with removed_if_unused(config):
        runner = RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
    if not partial:
        runner.register_hook(CheckWeights(checkpoint))
    metrics = runner.test()
    if runner.is_main:
        for name, value in metrics.items():
            click.echo(f"{name}: {value}")
