"""``engine find-lr``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine_runner.cli._check import check_before
from engine_runner.cli._folder import set_default_work_dir
from engine_runner.cli._options import ConfigCommand, config_arguments, read_config
from engine_runner.cli._shortcuts import seed_and_device, set_seed_and_device
from engine_runner.cli._train import set_launcher

if TYPE_CHECKING:
    from engine_config import Config
    from engine_runner.tuning import LearningRateCurve

_EXAMPLES = """
\b
Examples:
  engine find-lr config.py
  engine find-lr config.py --out lr.png
  engine find-lr config.py --min-lr 1e-5 --max-lr 1 --num-iters 200
"""

_ROWS = 12


@click.command("find-lr", cls=ConfigCommand, epilog=_EXAMPLES)
@config_arguments
@click.option("--min-lr", type=float, default=1e-6, show_default=True, help="The first rate.")
@click.option("--max-lr", type=float, default=10.0, show_default=True, help="The last rate.")
@click.option("--num-iters", type=int, default=100, show_default=True, help="The number of rates.")
@click.option("--out", metavar="PICTURE", help="Plot the losses to this file, such as lr.png.")
@click.option("--optimizer", help="Of several optimizers, the one whose rate rises.")
@click.option("--loss", default="loss", show_default=True, help="The loss to look at.")
@seed_and_device
def find_lr(
    config_file: Path,
    cfg_options: tuple[str, ...],
    min_lr: float,
    max_lr: float,
    num_iters: int,
    out: str | None,
    optimizer: str | None,
    loss: str,
    seed: int | None,
    device: str | None,
) -> None:
    """Suggest a learning rate for CONFIG.

    The model trains at rising rates for a moment. Nothing is saved but the picture. Schedules,
    hooks and validation do not act.
    """
    config = read_config(config_file, cfg_options)
    set_launcher(config, None)
    set_seed_and_device(config, seed, device)
    # The check asks for a folder; nothing is written there.
    set_default_work_dir(config, Path("work_dirs"))
    check_before(config)
    from engine_dist import is_main_process
    from engine_runner.tuning import find_learning_rate

    curve = find_learning_rate(config, min_lr, max_lr, num_iters, optimizer=optimizer, loss=loss)
    if is_main_process():
        _report(curve, config)
        if out is not None:
            click.echo(f"picture: {curve.plot(out)}")


def _report(curve: "LearningRateCurve", config: "Config") -> None:
    click.echo(f"{'rate':>9}  {'loss':>10}  {'smoothed':>10}")
    count = len(curve.rates)
    places = sorted({round(row * (count - 1) / (_ROWS - 1)) for row in range(_ROWS)} - {-1})
    for place in places if count else ():
        click.echo(
            f"{curve.rates[place]:9.2e}  {curve.losses[place]:10.4f}  {curve.smoothed[place]:10.4f}"
        )
    if curve.diverged:
        click.echo(f"the loss diverged after {count} rates, and the search ended")
    if curve.suggestion is None:
        click.echo(
            "no suggestion: the loss does not fall; try other --min-lr and --max-lr, or more "
            "--num-iters"
        )
        return
    click.echo(
        f"suggestion: {curve.suggestion:.2g}, where the smoothed loss falls fastest "
        f"({_setting(config)}={curve.suggestion:.2g})"
    )
    if (config.get("auto_scale_lr") or {}).get("enable"):
        click.echo(
            "auto_scale_lr is enabled, and would multiply that rate: it is for the batch size of "
            "this config; set base_batch_size to that"
        )


def _setting(config: "Config") -> str:
    wrapper = config.get("optim_wrapper") or {}
    return "optim_wrapper.optimizer.lr" if "optimizer" in wrapper else "lr"
