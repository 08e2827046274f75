"""Read-only bytes that exist once on a machine, however many worker processes read them."""

import contextlib
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterable
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import DupFd
from typing import Any, Protocol, Self

import numpy as np

# Windows starts children without inheriting descriptors; there the bytes travel by value.
_PASSES_DESCRIPTORS = os.name == "posix"

# A mapping costs a file descriptor, of which a process may have about a thousand.
_WORTH_SHARING = 1 << 16


class _Handle(Protocol):
    def detach(self) -> int: ...


def _open_anonymous() -> int:
    """Opens a file without a name: nothing is left behind, however the process ends."""
    if hasattr(os, "memfd_create"):
        # Not in /dev/shm, which containers often limit to 64 MB. Some sandboxes forbid the call.
        with contextlib.suppress(OSError):
            return os.memfd_create("engine-dataset", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _write(head: bytearray, rest: Iterable[bytes | memoryview]) -> int:
    descriptor = _open_anonymous()
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(head)
        for chunk in rest:
            file.write(chunk)
    return descriptor


class SharedBuffer:
    """Bytes in one memory mapping that worker processes share.

    Workers started by ``fork`` inherit the mapping; workers started by ``spawn`` or ``forkserver``
    receive the file descriptor behind it and map the same pages. Any other pickling (a file, a
    queue, another machine) carries the bytes themselves, as does any pickling of less than 64 KiB.

    Args:
        chunks: The content, piece by piece; it is written as it comes, never held twice.

    Example:
        >>> buffer = SharedBuffer([b"ab", b"c"])
        >>> bytes(buffer.view)
        b'abc'
    """

    def __init__(self, chunks: Iterable[bytes | memoryview]) -> None:
        coming = iter(chunks)
        head = bytearray()
        for chunk in coming:
            head += chunk
            if len(head) >= _WORTH_SHARING:
                self._map(_write(head, coming))
                return
        self._descriptor: int | None = None
        self.view = memoryview(bytes(head))

    @classmethod
    def _from_handle(cls, handle: _Handle) -> Self:
        buffer = cls.__new__(cls)
        buffer._map(handle.detach())
        return buffer

    def _map(self, descriptor: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        self.view = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))

    def __len__(self) -> int:
        return len(self.view)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # The bytes never change.

    def __reduce__(self) -> tuple[Any, ...]:
        descriptor = self._descriptor if _PASSES_DESCRIPTORS else None
        if descriptor is not None and get_spawning_popen() is not None:
            return type(self)._from_handle, (DupFd(descriptor),)
        return type(self), ([bytes(self.view)],)


class SharedIntegers:
    """Integers of 64 bits that worker processes share as they do a ``SharedBuffer``.

    Args:
        values: Integers of any shape; kept flat, in ``view``.
    """

    def __init__(self, values: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        self._attach(SharedBuffer([np.ascontiguousarray(values, dtype=np.int64).tobytes()]))

    @classmethod
    def _from_buffer(cls, buffer: SharedBuffer) -> Self:
        integers = cls.__new__(cls)
        integers._attach(buffer)
        return integers

    def _attach(self, buffer: SharedBuffer) -> None:
        self.buffer = buffer
        # A cast view gives a Python integer in a fraction of the time of a numpy element.
        self.view = buffer.view.cast("q")

    def __len__(self) -> int:
        return len(self.view)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._from_buffer, (self.buffer,)
