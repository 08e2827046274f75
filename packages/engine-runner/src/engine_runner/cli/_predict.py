"""``engine predict``."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine_runner.cli._options import (
    PATH,
    ConfigCommand,
    config_arguments,
    read_config,
    require_checkpoint,
)
from engine_utils import expand_home

if TYPE_CHECKING:
    from engine_config import Config
    from engine_runner.infer import Inferencer, Prediction

_RECORDS = "predictions.json"
_PICTURES = "pictures"
_NOT_UTF8 = re.compile(r"[\ud800-\udfff]")  # Python's stand-ins for such bytes in names of files
_EXAMPLES = """
\b
Examples:
  engine predict config.py best.pth photo.jpg
  engine predict config.py best.pth photos/ --out results
  engine predict config.py best.pth 'photos/*.png' https://example.org/a.jpg --batch-size 8

Without --out, the records go to the standard output as JSON. With it, they go to
DIR/predictions.json, and pictures with the predictions drawn on them to DIR/pictures.
"""


@click.command(cls=ConfigCommand, epilog=_EXAMPLES)
@config_arguments
@click.argument("checkpoint")
@click.argument("inputs", nargs=-1, required=True)
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the results.")
@click.option("--overwrite", is_flag=True, help="Replace results that --out has.")
@click.option("--batch-size", type=click.IntRange(min=1), default=1, help="Inputs per pass.")
@click.option("--device", help="cpu, cuda, cuda:1 …; by default the accelerator of this machine.")
@click.option("--no-pictures", is_flag=True, help="Write records only.")
@click.option(
    "--partial", is_flag=True, help="Accept a checkpoint that lacks weights of the model."
)
@click.pass_context
def predict(
    context: click.Context,
    config_file: Path,
    checkpoint: str,
    inputs: tuple[str, ...],
    cfg_options: tuple[str, ...],
    out: Path | None,
    overwrite: bool,
    batch_size: int,
    device: str | None,
    no_pictures: bool,
    partial: bool,
) -> None:
    """Predict with the model that CONFIG describes and the weights of CHECKPOINT.

    INPUTS are pictures: files, folders, patterns in quotes, and addresses. An input that cannot be
    read is named and skipped; the exit code is then 1.
    """
    config = read_config(config_file, cfg_options)
    if "://" not in checkpoint:
        checkpoint = expand_home(checkpoint)
    require_checkpoint(checkpoint)
    _check_processes()
    _check_out(out, overwrite)
    _check_device(device)
    drawn = out is not None and not no_pictures
    listed = _listed(inputs, out if drawn else None)
    inferencer = _build(config, checkpoint, device, partial=partial)
    results = Results(inferencer, out)
    with results.written():
        for one in _tracked(inferencer.stream(listed, batch_size, draw=drawn), len(listed)):
            results.add(one)
    if results.failed:
        context.exit(1)


class Results:
    """The records and pictures of an inference, written even if it ends early.

    One that ends without any record leaves earlier results as they are.

    Args:
        inferencer: Makes a record of each prediction.
        out: The folder; None prints the records.
    """

    def __init__(self, inferencer: "Inferencer", out: Path | None) -> None:
        self._inferencer = inferencer
        self._out = out
        self._names: set[str] = set()
        self._records: list[dict[str, Any]] = []
        self._skipped = 0
        self.failed = 0

    def add(self, one: "Prediction") -> None:
        """Keep the record of an input, and write its picture."""
        record: dict[str, Any] = {"input": one.name}
        skipped = one.error is not None and one.prediction is None
        if not skipped:
            record["prediction"] = self._inferencer.record(one.prediction)
        if one.error is not None:
            self.failed += 1
            self._skipped += skipped
            record["error"] = one.error
            click.echo(f"{'skipped ' * skipped}{one.name}: {one.error}", err=True)
        if one.picture is not None and self._out is not None:
            record["picture"] = self._save(one.name, one.picture, self._out)
        self._records.append(record)

    @contextmanager
    def written(self) -> Iterator[None]:
        """Write the records at the end of the block, and also if it raises."""
        try:
            yield
        except BaseException:  # also an interrupt
            if self._records:
                self._write()
            raise
        self._write()

    def _save(self, name: str, picture: Any, out: Path) -> str:
        from PIL import Image

        folder = out / _PICTURES
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / self._free_name(name)
        if file.exists() and Path(name).exists() and file.samefile(name):
            raise click.ClickException(f"{file} is an input; choose another folder for --out")
        Image.fromarray(picture).save(file)
        return f"{_PICTURES}/{file.name}"

    def _free_name(self, name: str) -> str:
        """Return the name of a picture; those of ``a/x.png`` and ``b/x.png`` differ."""
        stem = Path(name.partition("?")[0]).stem or "picture"
        free, number = f"{stem}.png", 1
        while free in self._names:
            number += 1
            free = f"{stem}-{number}.png"
        self._names.add(free)
        return free

    def _write(self) -> None:
        lines = [
            json.dumps(record, ensure_ascii=False, allow_nan=False) for record in self._records
        ]
        text = "[\n" + ",\n".join(lines) + "\n]"  # one line per record: diff and grep work
        text = _NOT_UTF8.sub(lambda found: f"\\u{ord(found[0]):x}", text)
        if self._out is None:
            click.echo(text)
            return
        from engine_fileio import atomic_write

        self._out.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._out / _RECORDS) as file:
            file.write(f"{text}\n".encode())
        count = len(self._records) - self._skipped
        skipped = f", {self._skipped} skipped" if self._skipped else ""
        click.echo(f"{count} predicted{skipped}: {self._out / _RECORDS}", err=True)


def _check_out(out: Path | None, overwrite: bool) -> None:
    """Raise for a folder that has results, before anything is computed.

    Raises:
        click.UsageError: It has results, is a file, or cannot be written.
    """
    if out is None:
        return
    place = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not place.is_dir():
        raise click.UsageError(f"--out must be a folder, got {out}, and {place} is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        raise click.UsageError(f"--out must be a folder that can be written, got {place}")
    found = [name for name in (_RECORDS, _PICTURES) if (out / name).exists()]
    if found and not overwrite:
        raise click.UsageError(
            f"{out} has {' and '.join(found)} already; choose another folder, or use --overwrite"
        )


def _check_processes() -> None:
    """Raise in one of several processes of a launcher: each would predict all inputs.

    Raises:
        click.UsageError: ``WORLD_SIZE`` is greater than 1.
    """
    count = os.environ.get("WORLD_SIZE", "1")
    if count not in ("", "1"):
        raise click.UsageError(
            f"engine predict must run in one process, got WORLD_SIZE={count}; run it without the "
            "launcher, once for each part of the inputs"
        )


def _listed(inputs: tuple[str, ...], out: Path | None) -> list[str]:
    """Return the single inputs, before the model is built.

    Args:
        inputs: What the user named.
        out: The folder of the results, if there will be pictures.

    Raises:
        click.UsageError: An input is empty, or a folder without files.
        click.ClickException: An input lies where the pictures go.
    """
    from engine_runner.infer import list_inputs

    listed: list[str] = []
    for text in inputs:
        if not text:
            raise click.UsageError("INPUTS must be paths or addresses, got an empty one")
        found = list_inputs(text)
        if not found:
            pattern = os.path.join(text, "**", "*")
            raise click.UsageError(
                f"the folder {text} has no files; those of its subfolders are '{pattern}'"
            )
        listed += found
    pictures = out and os.path.realpath(out / _PICTURES)
    for name in listed if pictures else ():
        if "://" not in name and os.path.dirname(os.path.realpath(name)) == pictures:
            raise click.ClickException(f"{name} is an input; choose another folder for --out")
    return listed


def _check_device(device: str | None) -> None:
    """Raise for a device that this machine does not have.

    Raises:
        click.UsageError: PyTorch cannot use it.
    """
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter, if torch was built without CUDA
        reason = str(error).partition("\n")[0]
        raise click.UsageError(
            f"--device must be a device of this machine, got {device!r}: {reason}"
        ) from error


def _build(config: "Config", checkpoint: str, device: str | None, *, partial: bool) -> "Inferencer":
    """Return the inferencer that the config names under ``inferencer``, or `Inferencer`.

    It is called here, not by the registry, so that an error is that of the part that raised it.
    """
    from engine_registry import INFERENCERS, resolve_type
    from engine_runner.infer import Inferencer

    part = config.get("inferencer") or {}
    part = {"type": part} if isinstance(part, str) else {"type": "Inferencer", **part}
    kind = resolve_type(part.pop("type"), registry=INFERENCERS, scope=config.get("default_scope"))
    if not (isinstance(kind, type) and issubclass(kind, Inferencer)):
        raise click.ClickException(
            "inferencer must be a subclass of engine_runner.infer.Inferencer, got "
            f"{getattr(kind, '__name__', kind)}"
        )
    given = {"model": config, "weights": checkpoint, "device": device}
    return kind(**given | ({"partial": True} if partial else {}) | part)


def _tracked(results: "Iterable[Prediction]", count: int) -> "Iterable[Prediction]":
    """Return the results, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal:
        return results
    return track(results, "Predicting", total=count, console=console)
