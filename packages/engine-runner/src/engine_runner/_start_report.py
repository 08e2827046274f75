"""The few lines on the console at the start of a run; the log file has the long reports."""

import math
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch

from engine_logging import MMLogger
from engine_runner._batch_size import batch_size_of
from engine_runner._loaders import length_of, samples_of
from engine_runner._protocols import Run

_logged: WeakKeyDictionary[MMLogger, set[str]] = WeakKeyDictionary()


def log_start(runner: Run, *modes: str) -> None:
    """Log the device, the data, the hooks and where the log is, a line each.

    A runner that trains and then tests logs the lines that are new.

    Args:
        runner: The run.
        *modes: The passes that follow: ``"train"``, ``"val"`` and ``"test"``.
    """
    logged = _logged.setdefault(runner.logger, set())
    for line in _lines(runner, modes):
        if line not in logged:
            logged.add(line)
            runner.logger.info(line)


def _lines(runner: Run, modes: tuple[str, ...]) -> Iterator[str]:
    yield f"Device: {_device(runner)}"
    for mode in modes:
        if mode != "val" or runner.val_loop is not None:
            loader = getattr(runner, f"{mode}_dataloader")
            sets = loader if isinstance(loader, Mapping) else {"": loader}
            for name, one in sets.items():
                label = f"{mode.capitalize()} data {name}".rstrip()
                yield f"{label}: {_data(one, runner.world_size)}"
    if "train" in modes:
        yield f"Training: {_extent(runner)}"
    names = (type(hook).__name__ for hook in runner.hooks if not hook._is_internal)
    yield f"Hooks: {', '.join(names)}"
    if runner.logger.log_file is not None:
        yield f"Log: {runner.logger.log_file}"


def _device(runner: Run) -> str:
    parameter = next(runner.model.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    if device.type == "cuda":
        kind = torch.cuda.get_device_name(device)
    else:
        kind = _count(torch.get_num_threads(), "thread") if device.type == "cpu" else ""
    text = f"{device} ({kind})" if kind else str(device)
    if runner.world_size > 1:
        text += f" and {runner.world_size - 1} more, one per process"
    return f"{text}; PyTorch {torch.__version__}, seed {runner.seed}"


def _data(loader: Any, world_size: int) -> str:
    dataset = getattr(loader, "dataset", loader)
    samples, batches, size = samples_of(loader), length_of(loader), batch_size_of(loader)
    parts = [type(dataset).__name__]
    if samples is not None:
        parts.append(_count(samples, "sample"))
    text = "batches" if batches is None else _count(batches, "batch")
    if size is not None:
        text += f" of {size}"
    if world_size > 1:
        text += " per process"
    parts.append(text)
    workers = getattr(loader, "num_workers", None)
    if workers is not None:
        parts.append(_count(workers, "worker"))
    return ", ".join(parts)


def _extent(runner: Run) -> str:
    parts = [_count(runner.max_epochs, "epoch")] if runner.trains_by_epoch else []
    if math.isfinite(runner.max_iters):
        parts.append(_count(int(runner.max_iters), "iteration"))
    if runner.iter:
        parts.append(f"{runner.iter} of them done")
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("tch") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
