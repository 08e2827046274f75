"""``engine train``."""

import os
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine_runner._types import LAUNCHERS
from engine_runner.cli._check import check_before
from engine_runner.cli._dry_run import run_dry
from engine_runner.cli._folder import note_owner, removed_if_unused, set_work_dir
from engine_runner.cli._options import (
    PATH,
    ConfigCommand,
    complete_file,
    config_arguments,
    read_config,
)
from engine_runner.cli._shortcuts import (
    seed_and_device,
    set_epochs,
    set_seed_and_device,
    set_value,
)
from engine_utils import expand_home

if TYPE_CHECKING:
    from engine_config import Config

_EXAMPLES = """
\b
Examples:
  engine train config.py
  engine train config.py --seed 1 --device cuda:1 --epochs 5 --work-dir runs/a
  engine train config.py --cfg-options optim_wrapper.optimizer.lr=0.01 randomness.seed=1
  engine train config.py --dry-run
  engine train config.py --resume
  engine train config.py --resume runs/a/epoch_3.pth
  engine train config.py --resume runs/a/epoch_3.pth --restart-schedules
  torchrun --nproc-per-node 2 -m engine_runner.cli train config.py
  srun --ntasks 2 engine train config.py --launcher slurm
  mpirun -n 2 engine train config.py --launcher mpi
"""


@click.command(cls=ConfigCommand, epilog=_EXAMPLES)
@config_arguments
@click.option(
    "--work-dir",
    type=PATH,
    help="Folder of logs and checkpoints; else the config's, else work_dirs/<name of the config>.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value="auto",
    metavar="[CHECKPOINT]",
    shell_complete=complete_file,
    help="Continue the newest checkpoint of the work directory, or the one given.",
)
@click.option(
    "--restart-optimizer",
    is_flag=True,
    help="With --resume: start momentum and step counts of the optimizer anew.",
)
@click.option("--restart-schedules", is_flag=True, help="With --resume: start the schedules anew.")
@click.option("--amp", is_flag=True, help="Train in automatic mixed precision.")
@click.option("--auto-scale-lr", is_flag=True, help="Scale the learning rate to the batch size.")
@click.option(
    "--launcher",
    type=click.Choice(LAUNCHERS),
    help="How processes were started; torchrun is recognized.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Epochs to train; schedules keep what the config says.",
)
@seed_and_device
@click.option(
    "--dry-run",
    is_flag=True,
    help="Try two batches of train, checkpoint, val and test, and leave nothing behind.",
)
@click.option("--local_rank", "--local-rank", type=int, hidden=True)
def train(
    config_file: Path,
    cfg_options: tuple[str, ...],
    work_dir: Path | None,
    resume: str | None,
    restart_optimizer: bool,
    restart_schedules: bool,
    amp: bool,
    auto_scale_lr: bool,
    launcher: str | None,
    dry_run: bool,
    local_rank: int | None,
    seed: int | None,
    device: str | None,
    epochs: int | None,
) -> None:
    """Train the model that CONFIG describes."""
    config = read_config(config_file, cfg_options)
    set_work_dir(config, config_file, work_dir)
    set_launcher(config, launcher)
    set_seed_and_device(config, seed, device)
    if epochs is not None:
        set_epochs(config, epochs)
    if local_rank is not None:
        os.environ.setdefault("LOCAL_RANK", str(local_rank))
    if resume is not None:
        set_value(config, "--resume", "resume", True)
        if resume != "auto":
            set_value(config, "--resume", "load_from", expand_home(resume))
    restarts = {"optimizer": restart_optimizer, "param_schedulers": restart_schedules}
    if any(restarts.values()) and not config.get("resume"):
        raise click.UsageError("--restart-optimizer and --restart-schedules need --resume")
    if amp:
        use_amp(config)
    if auto_scale_lr:
        enable_auto_scale_lr(config)
    if dry_run and resume is not None:
        raise click.UsageError("--dry-run resumes nothing; leave out --resume")
    if dry_run:
        check_before(config)
        check_load_from(config)
        run_dry(config)
        return
    run(config, config_file, restarts={name for name, restart in restarts.items() if restart})


def run(config: "Config", config_file: Path, *, restarts: Set[str] = frozenset()) -> None:
    """Check the config, train, and print where the results lie.

    Args:
        config: The merged config.
        config_file: The file that it was read from.
        restarts: The states that a resumed run starts anew; see `Checkpointer`.
    """
    check_before(config)
    check_load_from(config)
    from engine_registry import RUNNERS
    from engine_runner import Runner
    from engine_runner.cli._final_report import final_report
    from engine_runner.cli._start_hooks import Began

    with removed_if_unused(config) as built:
        runner = RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
        built.append(runner)
        note_owner(runner, config_file)
        runner.register_hook(Began())
        runner.checkpointer.restarts |= restarts
        runner.train()
    if runner.is_main:
        final_report(runner)


def check_load_from(config: "Config") -> None:
    """Raise for a missing checkpoint now, before model and data are built.

    Raises:
        click.UsageError: ``--resume`` names a local file that does not exist.
        click.ClickException: ``load_from`` of the config does.
    """
    path = config.get("load_from")
    if not isinstance(path, str) or "://" in path or Path(expand_home(path)).exists():
        return
    origin = config.origin("load_from")
    reason = f"no checkpoint file {path}; a relative path begins in {Path.cwd()}"
    if origin.file == "--resume":
        raise click.UsageError(f"--resume: {reason}")
    place = f"{origin.file}:{origin.line}" if origin.line else origin.file
    raise click.ClickException(f"{place}: load_from: {reason}")


def set_launcher(config: "Config", option: str | None) -> None:
    """Set the launcher: the option, ``pytorch`` in a process of torchrun, or what the config says.

    Raises:
        click.UsageError: This launcher has not started this process.
    """
    torchrun = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    launcher = option or ("pytorch" if torchrun else config.get("launcher", "none"))
    if launcher == "pytorch" and not torchrun:
        raise click.UsageError(
            "the launcher pytorch needs torchrun to start the processes: "
            "torchrun --nproc-per-node 2 -m engine_runner.cli train CONFIG"
        )
    if option in ("slurm", "mpi"):
        check_launch(option)
    if launcher == "none" and any(name in os.environ for name in _RANK_VARIABLES):
        warn_of_copies()
    if launcher != config.get("launcher", "none"):  # else the line of the config stays its origin
        set_value(config, "--launcher", "launcher", launcher)


def check_launch(launcher: str) -> None:
    """Raise for a launcher that has not started this process, before a model is built.

    Raises:
        click.UsageError: The environment lacks a variable of the launcher, or has a wrong value.
    """
    from engine_dist import read_launch

    try:
        read_launch(launcher, os.environ)
    except (RuntimeError, ValueError) as error:
        start = _STARTS[launcher]
        raise click.UsageError(
            f"--launcher {launcher}: {error}\nThe command is: {start}"
        ) from error


def warn_of_copies() -> None:
    """Print that each of several processes of a launcher trains a model of its own."""
    from engine_dist import infer_launcher, read_launch

    found = infer_launcher()
    if found not in ("slurm", "mpi"):
        return
    try:
        launch = read_launch(found, os.environ)
    except (RuntimeError, ValueError):
        return  # not a complete launch
    if launch.world_size > 1 and launch.rank == 0:
        click.echo(
            f"{found} has started {launch.world_size} processes, and each trains a model of its "
            f"own; --launcher {found} trains one model with all of them",
            err=True,
        )


_RANK_VARIABLES = ("SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMI_RANK")
_STARTS = {
    "slurm": "srun --ntasks 2 engine train CONFIG --launcher slurm",
    "mpi": "mpirun -n 2 engine train CONFIG --launcher mpi",
}


def use_amp(config: "Config") -> None:
    """Turn the optimizer wrapper into the one of mixed precision.

    Raises:
        click.UsageError: The config trains with a wrapper of another kind.
    """
    wrapper = config.optim_wrapper
    kind = wrapper.get("type", "OptimWrapper")
    if kind == "AmpOptimWrapper":
        click.echo("AMP training is already enabled in your config.", err=True)
    elif kind != "OptimWrapper":
        raise click.UsageError(f"--amp needs optim_wrapper.type='OptimWrapper', not {kind!r}")
    else:
        wrapper.type = "AmpOptimWrapper"
        wrapper.setdefault("loss_scale", "dynamic")


def enable_auto_scale_lr(config: "Config") -> None:
    """Switch the scaling of learning rates on.

    Raises:
        click.UsageError: The config does not say for which batch size its rates are.
    """
    scale = config.get("auto_scale_lr")
    if not scale or "enable" not in scale or "base_batch_size" not in scale:
        raise click.UsageError(
            'Can not find "auto_scale_lr" or "auto_scale_lr.enable" or '
            '"auto_scale_lr.base_batch_size" in your configuration file. --auto-scale-lr needs '
            "such as auto_scale_lr = dict(enable=False, base_batch_size=16)"
        )
    scale.enable = True
