"""Store read-only bytes in memory that all workers of a machine share."""

import contextlib
import mmap
import operator
import os
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import DupFd
from typing import Any, Protocol, Self

import numpy as np

# Windows cannot pass a descriptor to a child process, so the bytes are copied there.
_PASSES_DESCRIPTORS = os.name == "posix"

# Each mapping needs a file descriptor, and a process may have about a thousand of them. Below this
# size in bytes, a copy per worker is cheaper.
_WORTH_SHARING = 1 << 16


class _Handle(Protocol):
    def detach(self) -> int: ...


def _open_anonymous() -> int:
    """Open a file without a name, which the system removes however the process ends."""
    if hasattr(os, "memfd_create"):
        # Containers often limit /dev/shm to 64 MB, and memfd_create does not use it. Some sandboxes
        # forbid the call. Then a temporary file is used.
        with contextlib.suppress(OSError):
            return os.memfd_create("engine-dataset", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())  # the file object closes its own descriptor


def _write(head: bytearray, rest: Iterable[bytes | memoryview]) -> int:
    descriptor = _open_anonymous()
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(head)
        for chunk in rest:
            file.write(chunk)
    return descriptor


class SharedBuffer:
    """Store bytes in one memory mapping that workers share.

    Workers started by ``fork`` inherit the mapping. Workers started by ``spawn`` or ``forkserver``
    receive the file descriptor behind it and map the same pages. Any other pickle, to a file, a
    queue or another machine, contains the bytes. So does a pickle of less than 64 KiB.

    Args:
        chunks: The content in pieces. They are written one by one, so that the content is never in
            memory twice.

    Example:
        >>> buffer = SharedBuffer([b"ab", b"c"])
        >>> bytes(buffer.view)
        b'abc'
    """

    def __init__(self, chunks: Iterable[bytes | memoryview]) -> None:
        rest = iter(chunks)
        head = bytearray()
        # The total size is unknown: collect pieces until the content is worth a descriptor.
        for chunk in rest:
            head += chunk
            if len(head) >= _WORTH_SHARING:
                self._map(_write(head, rest))
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
        # The descriptor stays open, since workers that start later need it. The mapping itself is
        # released by the garbage collector when the last view of it is gone.
        weakref.finalize(self, os.close, descriptor)
        self.view = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))

    def __len__(self) -> int:
        return len(self.view)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # the bytes never change

    def __reduce__(self) -> tuple[Any, ...]:
        descriptor = self._descriptor if _PASSES_DESCRIPTORS else None
        # A descriptor can be passed only while a process is being spawned.
        if descriptor is not None and get_spawning_popen() is not None:
            return type(self)._from_handle, (DupFd(descriptor),)
        return type(self), ([bytes(self.view)],)


class SharedIntegers(Sequence[int]):
    """Store 64-bit integers in a `SharedBuffer`, so that workers share them; a read-only sequence.

    Args:
        values: Integers of any shape; ``view`` has them flattened.

    Example:
        >>> integers = SharedIntegers(np.array([[3, 1], [2, 0]]))
        >>> list(integers.view), integers[0], integers == [3, 1, 2, 0]
        ([3, 1, 2, 0], 3, True)
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
        # Reading a Python integer from a cast view is much faster than reading a numpy element.
        self.view = buffer.view.cast("q")

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, index: Any) -> Any:  # Any, as Sequence overloads it with a slice
        return self.view[index].tolist() if isinstance(index, slice) else self.view[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self.view, other))

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none

    def __repr__(self) -> str:
        return repr(self.view.tolist())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._from_buffer, (self.buffer,)
