"""``engine export``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine_runner.cli._check import check_before
from engine_runner.cli._options import (
    ConfigCommand,
    HomePath,
    complete_file,
    config_arguments,
    read_config,
    require_checkpoint,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine_config import Config
    from engine_runner.export import ExportReport

_EXAMPLES = """
\b
Examples:
  engine export config.py best.pth
  engine export config.py best.pth --out model.pt2 --input-shape 1,3,224,224
  engine export config.py best.pth --out model.onnx
  engine export config.py best.pth --with-preprocessor --input-dtype uint8 --input-shape 1,3,224,224
"""

_FORMATS = ("pt2", "onnx")
_DTYPES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool")
_LOADERS = ("test_dataloader", "val_dataloader")


def _shapes(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> list[tuple[int, ...]]:
    """Return the sizes of each shape, which are written with commas between them."""
    shapes = []
    for text in texts:
        sizes = [part.strip() for part in text.strip("()[]").split(",") if part.strip()]
        if not sizes or not all(size.isdecimal() and int(size) > 0 for size in sizes):
            raise click.BadParameter(f"must be sizes such as 1,3,224,224, got {text!r}")
        shapes.append(tuple(map(int, sizes)))
    return shapes


@click.command(cls=ConfigCommand, epilog=_EXAMPLES)
@config_arguments
@click.argument("checkpoint", shell_complete=complete_file)
@click.option(
    "--out",
    type=HomePath(path_type=Path, dir_okay=False),
    help="The file, ….pt2 or ….onnx; else the name of the checkpoint, in the current folder.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="pt2 for torch.export, onnx for ONNX; else the ending of --out, else pt2.",
)
@click.option(
    "--input-shape",
    "shapes",
    multiple=True,
    callback=_shapes,
    metavar="1,3,224,224",
    help="Shape of an input with the batch size first; once per parameter of the forward. Else the "
    "input is the first sample of test_dataloader or val_dataloader.",
)
@click.option("--input-dtype", type=click.Choice(_DTYPES), help="Type of --input-shape.")
@click.option(
    "--with-preprocessor", is_flag=True, help="Export the data preprocessor as a part of the model."
)
@click.option("--fixed-batch", is_flag=True, help="Export for the batch size of the input alone.")
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=1e-4, show_default=True,
    help="Largest difference of the outputs, relative to the largest output if that is over 1.",
)  # fmt: skip
@click.option(
    "--partial", is_flag=True, help="Accept a checkpoint that lacks weights of the model."
)
def export(
    config_file: Path,
    cfg_options: tuple[str, ...],
    checkpoint: str,
    out: Path | None,
    form: str | None,
    shapes: list[tuple[int, ...]],
    input_dtype: str | None,
    with_preprocessor: bool,
    fixed_batch: bool,
    tolerance: float,
    partial: bool,
) -> None:
    """Export the model that CONFIG describes with the weights of CHECKPOINT.

    The file computes what the model returns for mode='tensor', in evaluation and on the CPU. It
    takes any batch size. Its outputs are compared with those of the model; nothing is written if
    they differ.
    """
    from engine_registry import DefaultScope
    from engine_runner.export import export_model

    path = _path(out, form, checkpoint)
    if input_dtype is not None and not shapes:
        raise click.UsageError("--input-dtype needs --input-shape; samples have types of their own")
    config = read_config(config_file, cfg_options)
    check_before(config, trains=False, keys=("model", "data_preprocessor", *_LOADERS))
    with DefaultScope.overwrite_default_scope(config.get("default_scope", "engine")):
        model = _model(config, checkpoint, partial=partial)
        inputs = _inputs(config, model, shapes, input_dtype, with_preprocessor=with_preprocessor)
        report = export_model(
            model,
            inputs,
            path,
            dynamic_batch=not fixed_batch,
            with_preprocessor=with_preprocessor,
            tolerance=tolerance,
        )
    _print(report, with_preprocessor=with_preprocessor)


def _path(out: Path | None, form: str | None, checkpoint: str) -> Path:
    """Return the file to write.

    Raises:
        click.UsageError: Its ending is not that of a format, or that of another one.
    """
    if out is None:
        return Path(f"{Path(checkpoint).stem}.{form or _FORMATS[0]}")
    ending = out.suffix.removeprefix(".")
    if ending not in _FORMATS or form not in (None, ending):
        endings = [form] if form else _FORMATS
        expected = " or ".join(f".{name}" for name in endings)
        raise click.UsageError(f"--out must end with {expected}, got {str(out)!r}")
    return out


def _model(config: "Config", checkpoint: str, *, partial: bool) -> "nn.Module":
    """Build the model, and load its weights.

    Raises:
        click.UsageError: There is no such checkpoint.
        StateDictError: The checkpoint lacks weights, and ``partial`` is false.
    """
    import torch

    from engine_model.weights import CheckpointLoader
    from engine_runner.checkpoint import Checkpointer, backend_args_in
    from engine_runner.parts import build_model
    from engine_runner.strategies import SingleDeviceStrategy
    from engine_utils import expand_home

    checkpoint = expand_home(checkpoint)
    require_checkpoint(checkpoint)
    description = dict(config.model)
    if config.get("data_preprocessor") is not None:
        description.setdefault("data_preprocessor", config.data_preprocessor)
    model = build_model(description)
    checkpointer = Checkpointer(SingleDeviceStrategy(torch.device("cpu")))
    checkpointer.load_weights(
        model,
        CheckpointLoader.load_checkpoint(
            checkpoint, "cpu", backend_args=backend_args_in(config, checkpoint)
        ),
        revise_keys=[("^module.", "")],
    )
    if not partial:
        way_out = "--partial exports the model all the same"
        checkpointer.check_weights(checkpoint, type(model).__name__, way_out)
    return model


def _inputs(
    config: "Config",
    model: "nn.Module",
    shapes: list[tuple[int, ...]],
    dtype: str | None,
    *,
    with_preprocessor: bool,
) -> "dict[str, Tensor]":
    """Return random inputs of the given shapes, or the first sample of the config's data.

    Raises:
        click.UsageError: There are neither shapes nor data.
    """
    import torch

    from engine_runner.export import first_inputs, random_inputs

    if shapes:
        return random_inputs(model, shapes, getattr(torch, dtype or "float32"))
    loader = next((config[key] for key in _LOADERS if config.get(key) is not None), None)
    if loader is None:
        raise click.UsageError(
            f"the config has no {' and no '.join(_LOADERS)}, so --input-shape must be given"
        )
    return first_inputs(model, loader, with_preprocessor=with_preprocessor)


def _print(report: "ExportReport", *, with_preprocessor: bool) -> None:
    click.echo(f"exported {report.path}")
    for name, text in report.inputs.items():
        click.echo(f"  {'input:':<16}{name} {text}")
    place = "in the file" if with_preprocessor else "not in the file; inputs are what it returns"
    click.echo(f"  {'preprocessor:':<16}{place}")
    sizes = ", ".join(map(str, report.batch_sizes))
    click.echo(f"  {'max difference:':<16}{report.max_difference:.3g} (batch size {sizes})")
