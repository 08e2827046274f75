"""Explain an error of a device or host that has no memory left."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from engine_dist import get_rank
from engine_model import is_model_wrapper
from engine_runner._protocols import Run

_log = logging.getLogger("engine.runner")

# What allocators of the host raise as a plain RuntimeError.
_TEXTS = ("not enough memory", "can't allocate memory", "cannot allocate memory", "bad alloc")
_DATA = "the memory ended while a batch was read"
_DATA_WAYS_OUT = (
    "fewer num_workers; a smaller prefetch_factor; a smaller batch_size; smaller samples"
)
_SHOWN = 5
_MIB = 1 << 20
_DEPTH = 4


@contextmanager
def explaining_out_of_memory(run: Run) -> Iterator[None]:
    """Add a note to an error about memory, and log it: what was in use, and what to change.

    The note has the shapes of the batch, the peak, the module in which the memory ended, and the
    largest modules; or that a batch was being read. The error is raised as it is; nothing is
    computed or noted before.

    Args:
        run: The run.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error) and not getattr(error, "_engine_explained", False):
            error._engine_explained = True  # type: ignore[union-attr]  # once, however nested
            report = _report(run, error)
            error.add_note(report)
            _log.error("out of memory on rank %d\n%s", get_rank(), report)
        raise


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is about memory of a device or of the host.

    Args:
        error: The error.

    Example:
        >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: not enough memory: 9 bytes"))
        True
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in _TEXTS)


def _report(run: Run, error: BaseException) -> str:
    frames = list(_frames(error.__traceback__))
    if any(_reads_data(frame) for frame in frames):
        return "\n".join(filter(None, [_DATA, _peak_line(run), f"to change: {_DATA_WAYS_OUT}"]))
    model: Any = run.model.module if is_model_wrapper(run.model) else run.model
    lines = [
        _batch_line(frames),
        _peak_line(run),
        _place_line(frames, model),
        f"largest modules by parameters: {', '.join(_largest(model)) or 'none'}",
        _held_line(frames, model),
        f"to change: {'; '.join(_ways_out(run))}",
    ]
    return "\n".join(filter(None, lines))


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _reads_data(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("torch.utils.data.")


def _batch_line(frames: list[FrameType]) -> str:
    """Return the shapes of the batch, which a frame of the loop still has."""
    for frame in frames:
        if "data_batch" in frame.f_locals:
            return f"batch: {shapes(frame.f_locals['data_batch'])}"
    return ""


def shapes(value: object, depth: int = _DEPTH) -> str:
    """Return the shapes of the tensors in a nested value, as text.

    Args:
        value: The value.
        depth: The levels to show.

    Example:
        >>> shapes({"inputs": torch.zeros(2, 3), "n": 1})
        "{'inputs': (2, 3) float32, 'n': int}"
    """
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, Mapping) and depth:
        inner = ", ".join(f"{key!r}: {shapes(item, depth - 1)}" for key, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple) and depth:
        shown = [shapes(item, depth - 1) for item in value]
        same = len(set(shown)) == 1 and len(value) > 1
        inner = f"{len(value)} x {shown[0]}" if same else ", ".join(shown[:_SHOWN])
        more = ", …" if len(value) > _SHOWN and not same else ""
        return f"[{inner}{more}]"
    return type(value).__name__


def _peak_line(run: Run) -> str:
    device = next((item.device for item in run.model.parameters()), torch.device("cpu"))
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / _MIB
        reserved = torch.cuda.max_memory_reserved(device) / _MIB
        whole = torch.cuda.get_device_properties(device).total_memory / _MIB
        return f"peak: {peak:.0f} MiB allocated, {reserved:.0f} MiB reserved, of {whole:.0f} MiB"
    try:
        import resource  # Unix only

        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB
    except ImportError:
        return ""
    return f"peak: {peak:.0f} MiB of this process"


def _place_line(frames: list[FrameType], model: nn.Module) -> str:
    """Return the innermost named module in whose method the memory ended."""
    names = {id(module): name for name, module in model.named_modules() if name}
    for frame in reversed(frames):
        owner = frame.f_locals.get("self")
        if id(owner) in names:
            return f"the memory ended in: {names[id(owner)]} ({type(owner).__name__})"
    return ""


def _largest(model: nn.Module) -> list[str]:
    sizes = {
        name or type(model).__name__: sum(
            item.numel() * item.element_size() for item in module.parameters(recurse=False)
        )
        for name, module in model.named_modules()
    }
    largest = sorted((size, name) for name, size in sizes.items() if size)[: -_SHOWN - 1 : -1]
    return [f"{name} {size / _MIB:.1f} MiB" for size, name in largest]


def _held_line(frames: list[FrameType], model: nn.Module) -> str:
    """Return the modules whose calls hold most memory in tensors of their own.

    Only these activations are known after the error: those in the frames that it passed through.
    """
    names = {id(module): name or type(module).__name__ for name, module in model.named_modules()}
    held: dict[str, int] = {}
    for frame in frames:
        name = names.get(id(frame.f_locals.get("self")))
        if name is None:
            continue
        values = [item for item in frame.f_locals.values() if isinstance(item, Tensor)]
        storages = {
            item.untyped_storage().data_ptr(): item.untyped_storage().nbytes()
            for item in values
            if not isinstance(item, nn.Parameter) and item.layout is torch.strided
        }
        held[name] = max(held.get(name, 0), sum(storages.values()))
    largest = sorted(((size, name) for name, size in held.items() if size), reverse=True)
    shown = ", ".join(f"{name} {size / _MIB:.1f} MiB" for size, name in largest[:_SHOWN])
    return f"tensors in the calls of modules: {shown}" if shown else ""


def _ways_out(run: Run) -> Iterator[str]:
    settings: Any = getattr(run, "_settings", None)
    wrapper = type(run.optim_wrapper).__name__ if _trains(settings) else ""
    yield "a smaller batch_size"
    if wrapper:
        yield "optim_wrapper.accumulative_counts=n, for the same step from smaller batches"
    if wrapper and not getattr(settings, "activation_checkpointing", None):
        yield "activation_checkpointing=dict(...), to compute activations again"
    if wrapper and wrapper != "AmpOptimWrapper":
        yield "optim_wrapper.type='AmpOptimWrapper' with dtype='bfloat16'"
    if wrapper and "FSDP" not in type(getattr(run, "strategy", None)).__name__:
        yield "strategy='FSDPStrategy' on several devices, to share weights and optimizer states"


def _trains(settings: Any) -> bool:
    return getattr(settings, "optim_wrapper", None) is not None
