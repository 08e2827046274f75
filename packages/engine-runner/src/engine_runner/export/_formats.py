"""The formats of exported models: write a file, and read it back."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from engine_utils import import_extra

Runs = Callable[[Sequence[Tensor]], list[Tensor]]
"""Runs an exported model, and returns its output tensors in the order of the eager ones."""

_EXTRA = "engine-runner[onnx]"


class Format(NamedTuple):
    """A format of exported models.

    Attributes:
        suffix: The ending of its files.
        write: Writes a module, given inputs, their names and whether their first dimension varies.
        read: Returns a function that runs a file.
    """

    suffix: str
    write: Callable[[nn.Module, tuple[Tensor, ...], Sequence[str], bool, Path], None]
    read: Callable[[Path], Runs]


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Drop the warnings that the exporters of torch give about themselves, and their output."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        silent = redirect_stdout(StringIO()), redirect_stderr(StringIO())  # they also print graphs
        with silent[0], silent[1], warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def tensors_of(outputs: Any) -> list[Tensor]:
    """Return the tensors of nested outputs, in order.

    Example:
        >>> tensors_of({"a": torch.ones(1), "b": (torch.zeros(1), None)})
        [tensor([1.]), tensor([0.])]
    """
    return [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]


def _shapes(inputs: Sequence[Tensor], *, dynamic: bool) -> Any:
    """Return the dimensions that vary: the first one of each input, which is the same for all."""
    if not dynamic:
        return None
    batch = torch.export.Dim("batch")
    return (tuple({0: batch} for _ in inputs),)  # of the one parameter ``*tensors``


def _exported(module: nn.Module, inputs: tuple[Tensor, ...], dynamic: bool) -> Any:
    return torch.export.export(module, inputs, dynamic_shapes=_shapes(inputs, dynamic=dynamic))


def _write_pt2(
    module: nn.Module, inputs: tuple[Tensor, ...], names: Sequence[str], dynamic: bool, path: Path
) -> None:
    torch.export.save(_exported(module, inputs, dynamic), path)


def _read_pt2(path: Path) -> Runs:
    module = torch.export.load(path).module()
    return lambda inputs: tensors_of(module(*inputs))


def _write_onnx(
    module: nn.Module, inputs: tuple[Tensor, ...], names: Sequence[str], dynamic: bool, path: Path
) -> None:
    for library in ("onnx", "onnxscript", "onnxruntime"):
        import_extra(library, install=_EXTRA, purpose="the export to ONNX")
    program = torch.onnx.export(
        _exported(module, inputs, dynamic), inputs, dynamo=True, input_names=names, verbose=False
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    program.save(path)


def _read_onnx(path: Path) -> Runs:
    runtime: Any = import_extra(
        "onnxruntime", install=_EXTRA, purpose="the check of an ONNX export"
    )
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        feeds = {name: tensor.numpy(force=True) for name, tensor in zip(names, inputs, strict=True)}
        return [torch.from_numpy(array) for array in session.run(None, feeds)]

    return run


FORMATS = {
    "pt2": Format(".pt2", _write_pt2, _read_pt2),
    "onnx": Format(".onnx", _write_onnx, _read_onnx),
}
"""The formats by name: ``torch.export`` and ONNX."""
