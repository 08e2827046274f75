"""``engine publish``."""

import click

from engine_runner.cli._convert import report, trust
from engine_runner.cli._options import complete_file, require_checkpoint
from engine_utils import expand_home

_EXAMPLES = """
\b
Examples:
  engine publish work_dirs/run/epoch_3.pth
  engine publish work_dirs/run/epoch_3.dcp -o release/model.safetensors
  engine publish epoch_3.pth --keep optimizer --keep message_hub
"""


@click.command(no_args_is_help=True, epilog=_EXAMPLES)
@click.argument("checkpoint", shell_complete=complete_file)
@click.option(
    "--keep",
    "keep",
    multiple=True,
    metavar="KEY",
    help="A further key of the checkpoint to keep; meta and state_dict are always kept.",
)
@click.option(
    "-o",
    "--out",
    metavar="OUT",
    shell_complete=complete_file,
    help="The file, ….pth or ….safetensors, to whose name the hash is added, or a folder; else the "
    "name and folder of CHECKPOINT.",
)
@click.option(
    "--weights",
    type=click.Choice(("saved", "ema", "trained")),
    default="saved",
    show_default=True,
    help="Which weights, if EMAHook or SWAHook was used: the averages (ema) or those that were "
    "trained. A checkpoint has the averages as its weights.",
)
@trust
def publish(
    checkpoint: str, keep: tuple[str, ...], out: str | None, weights: str, trusted: bool
) -> None:
    """Write the weights of CHECKPOINT to a file of their own, with a hash in its name.

    The file is named <name>-<hash>.pth, with the first eight hex digits of its SHA-256, which
    torch.hub.load_state_dict_from_url compares. The states of optimizers, schedules and hooks are
    left out.
    """
    from engine_runner.checkpoint import publish_checkpoint

    checkpoint, out = expand_home(checkpoint), None if out is None else expand_home(out)
    require_checkpoint(checkpoint)
    try:
        done = publish_checkpoint(checkpoint, out, keep=keep, weights=weights, trusted=trusted)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    report(done)
