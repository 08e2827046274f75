"""Find the device to compute on, and its peak memory."""

from contextvars import ContextVar

import torch

_MEGABYTE = 1024 * 1024

_chosen: ContextVar[torch.device | None] = ContextVar("engine_device", default=None)


def chosen_device() -> torch.device | None:
    """Return the device that `use_device` has chosen; None outside of it.

    Example:
        >>> chosen_device() is None
        True
    """
    return _chosen.get()


def get_device() -> str:
    """Return the type of the accelerator that torch reports (``cuda``, ``mps``, …), else ``cpu``.

    Within `use_device` it is the type of that device.

    Example:
        >>> torch.zeros(2, device=get_device()).shape
        torch.Size([2])
    """
    chosen = _chosen.get()
    if chosen is not None:
        return chosen.type
    if not torch.accelerator.is_available():
        return "cpu"
    accelerator = torch.accelerator.current_accelerator()
    return "cpu" if accelerator is None else accelerator.type


def current_device() -> torch.device:
    """Return the device this process computes on, with its index on an accelerator.

    Example:
        >>> current_device().type == get_device()
        True
    """
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    kind = get_device()
    if kind == "cpu":
        return torch.device("cpu")
    return torch.device(kind, torch.accelerator.current_device_index())


def get_max_cuda_memory(device: torch.device | None = None) -> int:
    """Return the peak memory of the tensors on a CUDA device, in megabytes.

    The peak since the start of the program or the last `torch.cuda.reset_peak_memory_stats`.

    Args:
        device: The device; None for the current one.

    Returns:
        Megabytes (2**20 bytes), rounded down; 0 without CUDA.
    """
    if not torch.cuda.is_available():
        return 0
    return int(torch.cuda.max_memory_allocated(device)) // _MEGABYTE


def is_cuda_available() -> bool:
    """Return whether a CUDA device can be used."""
    return torch.cuda.is_available()


def is_npu_available() -> bool:
    """Return whether torch reports an Ascend device."""
    return get_device() == "npu"


def is_mlu_available() -> bool:
    """Return whether torch reports a Cambricon device."""
    return get_device() == "mlu"


def is_mps_available() -> bool:
    """Return whether an Apple GPU can be used."""
    return torch.backends.mps.is_available()
