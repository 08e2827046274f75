"""Export a model, and compare the exported file with it."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from engine_runner._errors import ExportError
from engine_runner.export._formats import FORMATS, Format, Runs, quiet_torch, tensors_of
from engine_runner.export._forward import TensorForward
from engine_runner.export._reasons import reason_of
from engine_utils import expand_home

_FIXED = "dynamic_batch=False (--fixed-batch) exports a model for one batch size alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """The result of an export.

    Attributes:
        path: The file.
        inputs: The shape and type of each input by name; a batch size that varies is ``N``.
        batch_sizes: The batch sizes with which the file was compared.
        max_difference: The largest absolute difference of an output from that of the model.

    Example:
        >>> report = ExportReport(
        ...     path=Path("m.pt2"), inputs={"x": "(N, 2) float32"}, batch_sizes=(1,),
        ...     max_difference=0.0,
        ... )
        >>> report.inputs["x"]
        '(N, 2) float32'
    """

    path: Path
    inputs: Mapping[str, str]
    batch_sizes: tuple[int, ...]
    max_difference: float


def export_model(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    *,
    dynamic_batch: bool = True,
    with_preprocessor: bool = False,
    tolerance: float = 1e-4,
) -> ExportReport:
    """Write a model to a file that runs without its Python code, and compare it with the model.

    The forward pass in evaluation, with ``mode="tensor"``, is exported. The file is written only if
    its outputs are those of the model.

    Args:
        model: The model, with its weights.
        inputs: A tensor for each parameter of the model's forward that is exported; others without
            a default are None. The first dimension is that of the batch.
        path: The file: ``….pt2`` for `torch.export`, ``….onnx`` for ONNX, which needs the extra
            ``engine-runner[onnx]``.
        dynamic_batch: Whether the file takes any batch size, or only that of ``inputs``.
        with_preprocessor: Whether the inputs of the file pass the model's data preprocessor first.
        tolerance: The largest difference of an output, relative to the largest of the model's
            outputs if that is over 1.

    Raises:
        ExportError: The model cannot be exported, or the file computes other outputs.
        ValueError: ``path`` has another ending.

    Example:
        >>> folder = tempfile.mkdtemp()
        >>> report = export_model(nn.Linear(2, 1), {"input": torch.ones(1, 2)}, f"{folder}/m.pt2")
        >>> report.inputs, report.max_difference < 1e-6
        ({'input': '(N, 2) float32'}, True)
    """
    target = Path(expand_home(path))
    form = format_of(target)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    given = tuple(tensor.to(device) for tensor in inputs.values())
    module = TensorForward(model, list(inputs), with_preprocessor=with_preprocessor)
    batches = _batches(given, dynamic=dynamic_batch)
    with _evaluating(module), tempfile.TemporaryDirectory(dir=_folder(target)) as folder:
        written = Path(folder) / target.name
        _eager(module, given, given)  # first: an error of other batch sizes is another one
        expected = [_eager(module, batch, given) for batch in batches]
        # The largest batch: with a size of 1 the exporter would take the size for a constant.
        _write(form, module, batches[-1], list(inputs), dynamic=dynamic_batch, path=written)
        difference = _compare(_runs(form, written), batches, expected, tolerance)
        for file in Path(folder).iterdir():  # ONNX has a second file for large weights
            os.replace(file, target.with_name(file.name))
    return ExportReport(
        path=target,
        inputs={name: _described(tensor, dynamic_batch) for name, tensor in inputs.items()},
        batch_sizes=tuple(len(batch[0]) for batch in batches),
        max_difference=difference,
    )


def format_of(path: Path) -> Format:
    """Return the format of a file, by its ending.

    Raises:
        ValueError: There is none.
    """
    for form in FORMATS.values():
        if path.suffix == form.suffix:
            return form
    endings = " or ".join(form.suffix for form in FORMATS.values())
    raise ValueError(f"path must end with {endings}, got {str(path)!r}")


def _folder(path: Path) -> Path:
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.absolute().parent}")
    return path.absolute().parent


def _batches(inputs: tuple[Tensor, ...], *, dynamic: bool) -> list[tuple[Tensor, ...]]:
    """Return the inputs in several batch sizes, the largest last; as they are if it is fixed."""
    if any(tensor.dim() == 0 for tensor in inputs) or not inputs:
        raise ExportError("each input must have a batch dimension, which is its first")
    sizes = {len(tensor) for tensor in inputs}
    if len(sizes) > 1 or 0 in sizes:
        raise ExportError(f"the inputs must have one batch size of at least 1, got {sorted(sizes)}")
    if not dynamic:
        return [inputs]
    one = tuple(tensor[:1] for tensor in inputs)
    more = tuple(torch.cat([tensor, tensor[:1], tensor[:1]]) for tensor in inputs)
    return [one, *([inputs] if len(inputs[0]) > 1 else []), more]


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluate without gradients; each module is restored to its mode afterwards."""
    modes = {each: each.training for each in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for each, mode in modes.items():
            each.training = mode


def _eager(
    module: TensorForward, batch: tuple[Tensor, ...], given: tuple[Tensor, ...]
) -> list[Tensor]:
    name = type(module.model).__name__
    try:
        outputs = module(*_copied(batch))
    except Exception as error:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in batch)
        way_out = f"; {_FIXED}" if len(batch[0]) != len(given[0]) else ""
        raise ExportError(
            f"{name} cannot compute inputs of the shape {shapes}: {error}{way_out}"
        ) from error
    found = tensors_of(outputs)
    if not found:
        raise ExportError(
            f"{name}.forward must return tensors for mode='tensor', got {type(outputs).__name__}"
        )
    return [tensor.detach().clone() for tensor in found]


def _write(
    form: Format,
    module: TensorForward,
    batch: tuple[Tensor, ...],
    names: list[str],
    *,
    dynamic: bool,
    path: Path,
) -> None:
    try:
        with quiet_torch():
            form.write(module, batch, names, dynamic, path)
    except ImportError:  # of the extra
        raise
    except Exception as error:  # the exporters of torch raise many kinds
        reason = reason_of(error, f"; {_FIXED}" if dynamic else "")
        raise ExportError(
            f"{type(module.model).__name__} cannot be exported to {path.suffix}: {reason}"
        ) from error


def _copied(batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return copies, as a model may change its inputs in place."""
    return tuple(tensor.clone() for tensor in batch)


def _runs(form: Format, path: Path) -> Runs:
    """Return a function that runs a written file.

    Raises:
        ExportError: The file cannot be read, or later run.
    """

    def run(batch: Sequence[Tensor]) -> list[Tensor]:
        try:
            with quiet_torch():
                return loaded(_copied(tuple(batch)))
        except Exception as error:
            raise ExportError(f"the exported {path.suffix} does not run: {error}") from error

    try:
        with quiet_torch():
            loaded = form.read(path)
    except ImportError:  # of the extra
        raise
    except Exception as error:  # such as an operation that the runtime lacks
        raise ExportError(f"the exported {path.suffix} cannot be loaded: {error}") from error
    return run


def _compare(
    run: Runs,
    batches: Sequence[tuple[Tensor, ...]],
    expected: Sequence[list[Tensor]],
    tolerance: float,
) -> float:
    """Return the largest difference of the outputs.

    Raises:
        ExportError: It exceeds the tolerance, or the outputs have other shapes.
    """
    largest = 0.0
    for batch, eager in zip(batches, expected, strict=True):
        exported = run(batch)
        size = len(batch[0])
        shapes = [tuple(tensor.shape) for tensor in eager]
        if [tuple(tensor.shape) for tensor in exported] != shapes:
            found = [tuple(tensor.shape) for tensor in exported]
            raise ExportError(
                f"the exported outputs must have the shapes {shapes} of the model with a batch of "
                f"{size}, got {found}"
            )
        for mine, theirs in zip(eager, exported, strict=True):
            difference, scale = _difference(mine, theirs)
            if not difference <= tolerance * max(1.0, scale):
                raise ExportError(
                    f"the exported outputs differ by {difference:.3g} from those of the model with "
                    f"a batch of {size}, and the tolerance is {tolerance:g}; does the model use "
                    "random numbers in evaluation, or change its buffers?"
                )
            largest = max(largest, difference)
    return largest


def _difference(mine: Tensor, theirs: Tensor) -> tuple[float, float]:
    """Return the largest difference of two tensors, and the largest magnitude of the first."""
    kind = torch.complex128 if mine.is_complex() else torch.float64
    first, second = mine.cpu().to(kind), theirs.cpu().to(kind)
    same = (first == second) | (first.isnan() & second.isnan())
    if bool(same.all()):
        return 0.0, 0.0
    apart = (first - second).abs()[~same]
    return float(apart.max()), _largest(first)


def _largest(values: Tensor) -> float:
    finite = values[values.isfinite()].abs()
    return float(finite.max()) if finite.numel() else 0.0


def _described(tensor: Tensor, dynamic: bool) -> str:
    sizes = ["N" if dynamic else str(len(tensor)), *map(str, tensor.shape[1:])]
    text = ", ".join(sizes)
    return f"({text}{',' * (len(sizes) == 1)}) {str(tensor.dtype).removeprefix('torch.')}"
