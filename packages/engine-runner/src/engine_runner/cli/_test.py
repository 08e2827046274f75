"""``engine test``."""

from pathlib import Path

import click

from engine_runner.cli._options import ConfigCommand, config_arguments, read_config
from engine_runner.cli._train import detect_launcher, set_work_dir

_EXAMPLES = """
\b
Examples:
  engine test config.py work_dirs/config/epoch_5.pth
  engine test config.py best.pth --cfg-options test_dataloader.batch_size=256
"""


@click.command(cls=ConfigCommand, epilog=_EXAMPLES)
@config_arguments
@click.argument("checkpoint")
@click.option("--work-dir", type=click.Path(path_type=Path), help="Folder of the log of the test.")
@click.option(
    "--launcher",
    type=click.Choice(["none", "pytorch", "slurm", "mpi"]),
    help="How processes were started; torchrun is recognised.",
)
def test(
    config_file: Path,
    checkpoint: str,
    cfg_options: tuple[str, ...],
    work_dir: Path | None,
    launcher: str | None,
) -> None:
    """Test the model that CONFIG describes with the weights of CHECKPOINT."""
    config = read_config(config_file, cfg_options)
    if "://" not in checkpoint and not Path(checkpoint).is_file():
        raise click.UsageError(f"no such checkpoint: {checkpoint}")
    set_work_dir(config, config_file, work_dir)
    config.launcher = launcher or detect_launcher(config.get("launcher", "none"))
    config.load_from = checkpoint
    config.resume = False

    from engine_runner import Runner
    from engine_runner.cli._errors import pointing_at

    with pointing_at(config):
        runner = Runner.from_cfg(config)
        metrics = runner.test()
    if runner.is_main:
        for name, value in metrics.items():
            click.echo(f"{name}: {value}")
