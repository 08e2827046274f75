"""Copy a checkpoint to memory of its own, which is used again for the next copy."""

import copy
import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_PLAIN = (Tensor, nn.Parameter)
_DEVICES = ("cpu", "cuda")


class Snapshots:
    """Take copies of checkpoints in CPU memory, at most one at a time.

    The memory of a copy is kept, and the next one is written to it. To allocate it anew takes
    longer than to copy. Values of a GPU go to pinned memory, in the order of its stream: the copy
    is complete, and the run continues, before the next step changes a weight.

    Tensors that share memory share it in the copy. Everything else is deep-copied.

    Args:
        pin_memory: Whether copies of a GPU's values are in pinned memory. It cannot be swapped out.

    Example:
        >>> snapshots, weight = Snapshots(), torch.ones(2)
        >>> taken, wait = snapshots.take({"weight": weight})
        >>> _ = weight.zero_()
        >>> wait()  # for the device, in the thread that reads the copy
        >>> taken
        {'weight': tensor([1., 1.])}
    """

    def __init__(self, pin_memory: bool = True) -> None:
        self._pin_memory = pin_memory
        self._free: dict[tuple[int, bool], list[Tensor]] = {}

    def take(self, checkpoint: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], None]]:
        """Return a copy of a checkpoint, and a function that returns when its values are there.

        The copy that was taken before must no longer be used.
        """
        copying = _Copying(self._free, pin_memory=self._pin_memory)
        with torch.no_grad():
            taken = copying.of(checkpoint)
            copying.record()
        self._free = copying.used  # what this checkpoint did not need is freed
        return taken, copying.wait


class _Copying:
    """One copy in progress."""

    def __init__(self, free: dict[tuple[int, bool], list[Tensor]], *, pin_memory: bool) -> None:
        self.used: dict[tuple[int, bool], list[Tensor]] = {}
        self._free = free
        self._pin_memory = pin_memory
        self._memo: dict[int, Any] = {}  # of `copy.deepcopy`, and of the containers
        self._storages: dict[int, Tensor] = {}
        self._devices: set[torch.device] = set()
        self._events: list[Any] = []

    def of(self, value: Any) -> Any:
        """Return the copy of a value."""
        if id(value) in self._memo:
            return self._memo[id(value)]
        if isinstance(value, Tensor):
            made: Any = self._tensor(value)
        elif isinstance(value, dict):
            # A shallow copy keeps attributes, such as the versions of modules in `_metadata`.
            made = dict(value) if type(value) is dict else copy.copy(value)
            for key, item in value.items():
                made[key] = self.of(item)
        elif type(value) in (list, tuple):
            made = type(value)([self.of(item) for item in value])
        else:
            return copy.deepcopy(value, self._memo)
        self._memo[id(value)] = made
        return made

    def wait(self) -> None:
        """Return when all values have arrived from their devices."""
        for event in self._events:
            event.synchronize()

    def _tensor(self, tensor: Tensor) -> Tensor:
        if not _is_plain(tensor):
            return copy.deepcopy(tensor.detach()).cpu()
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._storages:
            self._storages[key] = self._bytes(
                torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage)
            )
        made = torch.empty(0, dtype=tensor.dtype)
        made.set_(
            self._storages[key].untyped_storage(),
            tensor.storage_offset(),
            tensor.size(),
            tensor.stride(),
        )
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(made, requires_grad=tensor.requires_grad)
        return made.requires_grad_(tensor.requires_grad)

    def _bytes(self, source: Tensor) -> Tensor:
        """Return the copy of the bytes of a storage, which may not be there yet."""
        pinned = source.is_cuda and self._pin_memory
        kind = (source.numel(), pinned)
        free = self._free.get(kind)
        target = free.pop() if free else torch.empty(kind[0], dtype=torch.uint8, pin_memory=pinned)
        self.used.setdefault(kind, []).append(target)
        if source.is_cuda:
            target.copy_(source, non_blocking=pinned)
            if pinned:
                self._devices.add(source.device)
        else:
            # Not `copy_`, whose threads wait for each other: with busy cores, such as those of data
            # workers, that takes eight times as long.
            ctypes.memmove(target.data_ptr(), source.data_ptr(), source.numel())
        return target

    def record(self) -> None:
        """Mark the point in each device's stream at which all values are copied."""
        for device in self._devices:
            with torch.cuda.device(device):
                event = torch.cuda.Event()  # type: ignore[no-untyped-call]  # of torch
                event.record()
                self._events.append(event)


def _is_plain(tensor: Tensor) -> bool:
    """Return whether a tensor is a view of a storage that can be copied byte by byte."""
    return (
        type(tensor) in _PLAIN
        and tensor.layout == torch.strided
        and tensor.device.type in _DEVICES
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg() or tensor.__dict__)
    )
