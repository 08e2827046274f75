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


class SharedBuffer:
    """Bytes in one memory mapping that worker processes share.

    Workers started by ``fork`` inherit the mapping; workers started by ``spawn`` or ``forkserver``
    receive the file descriptor behind it and map the same pages. Any other pickling (a file, a
    queue, another machine) carries the bytes themselves.

    Args:
        chunks: The content, piece by piece; it is written as it comes, never held twice.

    Example:
        >>> buffer = SharedBuffer([b"ab", b"c"])
        >>> bytes(buffer.view)
        b'abc'
    """

    def __init__(self, chunks: Iterable[bytes | memoryview]) -> None:
        descriptor = _open_anonymous()
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            for chunk in chunks:
                file.write(chunk)
        self._attach(descriptor)

    @classmethod
    def _from_handle(cls, handle: _Handle) -> Self:
        buffer = cls.__new__(cls)
        buffer._attach(handle.detach())
        return buffer

    def _attach(self, descriptor: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        size = os.fstat(descriptor).st_size
        # An empty file cannot be mapped.
        content = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) if size else b""
        self.view = memoryview(content)

    def __len__(self) -> int:
        return len(self.view)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # The bytes never change.

    def __reduce__(self) -> tuple[Any, ...]:
        if _PASSES_DESCRIPTORS and get_spawning_popen() is not None:
            return type(self)._from_handle, (DupFd(self._descriptor),)
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
