"""Store the records of a dataset, pickled one by one, in memory that workers share."""

import io
import pickle
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from engine_dataset._buffer import SharedBuffer, SharedIntegers
from engine_dist import TensorPickler

# Write pickles to the mapping in pieces of this many bytes: one write per record would take longer
# than the pickling.
_CHUNK = 1 << 24

Array = np.ndarray[Any, Any]


class RecordStore(Sequence[Any]):
    """Store records in memory that all workers of a machine share, as a read-only sequence.

    Reading a record unpickles it. Each read returns a new object, which the caller may change.

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
        self._attach(content, _spans_of(np.frombuffer(ends, dtype=np.int64)), whole=True)

    @classmethod
    def from_arrays(cls, data_bytes: Array, data_address: Array) -> "RecordStore":
        """Return a store of pickled records, which are copied to shared memory.

        Args:
            data_bytes: The pickles one after the other, uint8.
            data_address: Where each pickle ends, shape ``(N,)``.
        """
        view = np.ascontiguousarray(data_bytes, dtype=np.uint8).data
        content = SharedBuffer(view[at : at + _CHUNK] for at in range(0, len(view), _CHUNK))
        ends = np.asarray(data_address, dtype=np.int64)
        return _restore(content, _spans_of(np.concatenate([[0], ends])), True)

    def _attach(self, content: SharedBuffer, spans: SharedIntegers, *, whole: bool) -> None:
        """Set the pickles, and their beginnings and ends, ``(N, 2)`` flattened."""
        self._content, self._spans = content, spans
        # Whether the spans cover the content in its order.
        self._whole = whole
        # Copy the views: two attribute accesses less per record.
        self._bytes, self._bounds = content.view, spans.view
        self._length = len(spans) // 2

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:  # Any, as Sequence overloads it with a slice
        if index < 0:
            index += self._length
        if not 0 <= index < self._length:
            raise IndexError(f"record {index} of a store of {self._length} records")
        at = 2 * index
        return pickle.loads(self._bytes[self._bounds[at] : self._bounds[at + 1]])

    @property
    def nbytes(self) -> int:
        """The size of the shared memory behind the store, in bytes."""
        return len(self._content) + len(self._spans.buffer)

    @property
    def arrays(self) -> tuple[Array, Array]:
        """The pickles one after the other, uint8, and where each ends; a copy after `select`."""
        content = np.frombuffer(self._bytes, dtype=np.uint8)
        begins, ends = np.frombuffer(self._bounds, dtype=np.int64).reshape(-1, 2).T
        if self._whole:
            return content, ends
        pieces = [content[begin:end] for begin, end in zip(begins, ends, strict=True)]
        return np.concatenate([content[:0], *pieces]), np.cumsum(ends - begins)

    def select(self, indices: Sequence[int] | slice) -> "RecordStore":
        """Return a store of the chosen records, which shares the bytes.

        Raises:
            IndexError: An index is outside the store.
        """
        # One row per record, without a copy.
        spans = np.frombuffer(self._spans.view, dtype=np.int64).reshape(-1, 2)
        chosen = indices if isinstance(indices, slice) else np.asarray(indices, dtype=np.int64)
        return _restore(self._content, SharedIntegers(spans[chosen]), False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._content, self._spans, self._whole)

    def __deepcopy__(self, memo: dict[int, Any]) -> "RecordStore":
        return self  # the bytes never change


def _restore(content: SharedBuffer, spans: SharedIntegers, whole: bool) -> RecordStore:
    store = RecordStore.__new__(RecordStore)
    store._attach(content, spans, whole=whole)
    return store


def _spans_of(bounds: Array) -> SharedIntegers:
    # Store both begin and end of each record, so that `select` can choose any rows.
    return SharedIntegers(np.stack([bounds[:-1], bounds[1:]], axis=1))


def _pickled(records: Iterable[Any], ends: "array[int]") -> Iterator[bytes]:
    """Yield the pickles of the records in large pieces, and append the end of each to ``ends``."""
    stream = io.BytesIO()
    # For a view of a tensor, torch would pickle the whole storage. TensorPickler pickles the view.
    pickler = TensorPickler(stream, keep_requires_grad=True)
    flushed = 0
    for record in records:
        pickler.dump(record)
        # Each record is unpickled alone, so it must not refer to objects of an earlier record.
        pickler.clear_memo()
        size = stream.tell()
        ends.append(flushed + size)
        if size >= _CHUNK:
            yield stream.getvalue()
            flushed += size
            stream.seek(0)
            stream.truncate()
    yield stream.getvalue()
