"""The records of a data set, pickled one by one into memory that worker processes share."""

import io
import pickle
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from engine_dataset._buffer import SharedBuffer, SharedIntegers

_CHUNK = 1 << 24
_NUMPY = {
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128),
}
_NO_NUMPY = {
    torch.bfloat16: torch.int16,
    torch.float8_e4m3fn: torch.int8,
    torch.float8_e5m2: torch.int8,
}


class _RecordPickler(pickle.Pickler):
    """Pickles a tensor as its own elements: a view must not drag its whole storage along."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is not torch.Tensor or not _is_plain(obj):
            return NotImplemented
        if obj.dtype in _NO_NUMPY:
            return _from_bits, (obj.view(_NO_NUMPY[obj.dtype]), obj.dtype)
        return torch.from_numpy, (obj.numpy(),)


def _from_bits(bits: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return bits.view(dtype)


def _is_plain(tensor: torch.Tensor) -> bool:
    """Tells whether a tensor's elements, as numpy or its bits, are all there is to it."""
    return (
        tensor.device.type == "cpu"
        and tensor.layout == torch.strided
        and (tensor.dtype in _NUMPY or tensor.dtype in _NO_NUMPY)
        and not (tensor.requires_grad or tensor.is_conj() or tensor.is_neg())
    )


class RecordStore(Sequence[Any]):
    """A read-only sequence of records whose bytes exist once for all workers of a machine.

    Reading a record unpickles it: each read gives a fresh object that the caller may change.

    Args:
        records: Any picklable objects; they are consumed one at a time.

    Example:
        >>> store = RecordStore({"id": number} for number in range(3))
        >>> store[-1], len(store)
        ({'id': 2}, 3)
        >>> list(store.select([2, 0]))
        [{'id': 2}, {'id': 0}]
    """

    def __init__(self, records: Iterable[Any]) -> None:
        ends = array("q", [0])
        content = SharedBuffer(_pickled(records, ends))
        bounds = np.frombuffer(ends, dtype=np.int64)
        self._attach(content, SharedIntegers(np.stack([bounds[:-1], bounds[1:]], axis=1)))

    def _attach(self, content: SharedBuffer, spans: SharedIntegers) -> None:
        """Takes the pickles, and where each begins and ends: ``(N, 2)``, flat."""
        self._content, self._spans = content, spans
        self._bytes, self._bounds = content.view, spans.view
        self._length = len(spans) // 2

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if index < 0:
            index += self._length
        if not 0 <= index < self._length:
            raise IndexError(f"record {index} of a store of {self._length} records")
        at = 2 * index
        return pickle.loads(self._bytes[self._bounds[at] : self._bounds[at + 1]])

    @property
    def nbytes(self) -> int:
        """Bytes of the shared memory behind the store."""
        return len(self._content) + len(self._spans.buffer)

    def select(self, indices: Sequence[int] | slice) -> "RecordStore":
        """Gives a store of the chosen records over the same bytes.

        Raises:
            IndexError: An index lies outside the store.
        """
        spans = np.frombuffer(self._spans.view, dtype=np.int64).reshape(-1, 2)
        chosen = indices if isinstance(indices, slice) else np.asarray(indices, dtype=np.int64)
        return _restore(self._content, SharedIntegers(spans[chosen]))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._content, self._spans)

    def __deepcopy__(self, memo: dict[int, Any]) -> "RecordStore":
        return self


def _restore(content: SharedBuffer, spans: SharedIntegers) -> RecordStore:
    store = RecordStore.__new__(RecordStore)
    store._attach(content, spans)
    return store


def _pickled(records: Iterable[Any], ends: "array[int]") -> Iterator[bytes]:
    """Yields the pickles of the records in large pieces and notes where each ends."""
    stream = io.BytesIO()
    pickler = _RecordPickler(stream, pickle.HIGHEST_PROTOCOL)
    flushed = 0
    for record in records:
        pickler.dump(record)
        pickler.clear_memo()
        size = stream.tell()
        ends.append(flushed + size)
        if size >= _CHUNK:
            yield stream.getvalue()
            flushed += size
            stream.seek(0)
            stream.truncate()
    yield stream.getvalue()
