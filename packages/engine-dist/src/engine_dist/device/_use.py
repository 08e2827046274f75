"""Choose the device to compute on."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from engine_dist.device._devices import _chosen


def available_device(device: str | torch.device) -> torch.device:
    """Return a device of this machine, with its index on an accelerator.

    Args:
        device: Such as ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``. Without an index it is the
            current device of that type.

    Raises:
        ValueError: The text names no device, or one that this machine does not have.

    Example:
        >>> available_device("cpu")
        device(type='cpu')
        >>> available_device("gpu")
        Traceback (most recent call last):
        ...
        ValueError: device must be a device such as cpu, cuda, cuda:1 or mps, got 'gpu'
    """
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be a device such as cpu, cuda, cuda:1 or mps, got {device!r}"
        ) from error
    known = _devices()
    kinds = {each.type for each in known}
    index = found.index
    if index is None and found.type in kinds and found.type != "cpu":
        index = torch.accelerator.current_device_index()
    chosen = (
        torch.device(found.type) if found.type == "cpu" else torch.device(found.type, index or 0)
    )
    if chosen not in known:
        names = ", ".join(map(str, known))
        raise ValueError(f"device must be one of this machine ({names}), got {str(device)!r}")
    return chosen


@contextmanager
def use_device(device: str | torch.device | None) -> Iterator[None]:
    """Compute on a device within the block, in this thread.

    `get_device` and `current_device` return it. An accelerator with several devices has it as its
    current one.

    Args:
        device: The device; None changes nothing.

    Raises:
        ValueError: This machine does not have the device.

    Example:
        >>> from engine_dist.device import get_device
        >>> with use_device("cpu"):
        ...     get_device()
        'cpu'
    """
    if device is None:
        yield
        return
    chosen = available_device(device)
    token = _chosen.set(chosen)
    try:
        with _as_current(chosen):
            yield
    finally:
        _chosen.reset(token)


def _devices() -> list[torch.device]:
    """Return the devices of this machine, the CPU first."""
    accelerator = (
        torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    )
    if accelerator is None:
        return [torch.device("cpu")]
    count = range(torch.accelerator.device_count())
    return [torch.device("cpu"), *(torch.device(accelerator.type, index) for index in count)]


def _as_current(device: torch.device) -> Any:
    """Return the context in which a device is the current one of its type."""
    module: Any = None if device.type == "cpu" else torch.get_device_module(device)
    # Apple's module has one device, and no such context.
    return module.device(device.index) if hasattr(module, "device") else nullcontext()
