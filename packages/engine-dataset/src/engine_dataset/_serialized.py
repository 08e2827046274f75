"""The serialized records of a dataset as two arrays, which code may read and set."""

from typing import Any

from engine_dataset._records import Array, RecordStore

Arrays = tuple[Array, Array]

_NAMES = ("data_bytes", "data_address")


class Serialized:
    """The records of a dataset in shared memory, or the arrays that code is about to set.

    ``data_bytes`` and ``data_address`` are set one after the other. The records are moved to
    shared memory when both are there and fit together.

    Attributes:
        store: The records; ``None`` if they are not serialized.
    """

    def __init__(self, store: RecordStore | None = None) -> None:
        self.store = store
        self._set: dict[str, Array] = {}
        # The records that `serialize` stored, and their arrays, until these are set.
        self._made: tuple[RecordStore, Arrays] | None = None

    def serialize(self, records: list[Any]) -> Arrays:
        """Store records, and return their bytes and where each ends, to be set."""
        store = RecordStore(records)
        arrays = store.arrays
        self._made = store, arrays
        return arrays

    def read(self, name: str) -> Array | None:
        """Return one of the arrays, or None if the records are not serialized."""
        if self.store is not None:
            return self.store.arrays[_NAMES.index(name)]
        return self._set.get(name)

    def write(self, name: str, value: Array | None) -> None:
        """Set one of the arrays; ``None`` removes the serialized records."""
        if value is None:
            self.store, self._set = None, {}
            return
        if self.store is not None:
            self._set = dict(zip(_NAMES, self.store.arrays, strict=True))
            self.store = None
        self._set[name] = value
        if len(self._set) == len(_NAMES):
            self._settle(*(self._set[key] for key in _NAMES))

    def _settle(self, data_bytes: Array, data_address: Array) -> None:
        if self._made is not None:
            store, (its_bytes, its_ends) = self._made
            if data_bytes is its_bytes and data_address is its_ends:
                # They are in shared memory already.
                self.store, self._set, self._made = store, {}, None
                return
        size = int(data_address[-1]) if len(data_address) else 0
        if len(data_bytes) == size:
            self.store, self._set = RecordStore.from_arrays(data_bytes, data_address), {}

    def check(self) -> None:
        """Raise `ValueError` if only one array is set, or both do not fit together."""
        if self._set:
            sizes = ", ".join(f"{name} of {len(array)}" for name, array in self._set.items())
            raise ValueError(
                f"data_bytes and data_address must be set together, and data_address must end at "
                f"the length of data_bytes, got {sizes}; set both to what `_serialize_data` returns"
            )


def serialized_of(dataset: Any) -> Serialized:
    """Return the serialized records of a dataset, to be changed."""
    # A subclass with a constructor of its own may not call that of the base.
    found: Serialized = dataset.__dict__.setdefault("_serialized", Serialized())
    return found


class SerializedArray:
    """One of the two arrays as an attribute of a dataset, which has them in ``_serialized``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, dataset: Any, owner: type | None = None) -> Any:
        if dataset is None:
            return self
        found = dataset._serialized.read(self._name)
        if found is None:
            raise AttributeError(
                f"{type(dataset).__name__} has no {self._name}: its records are not serialized"
            )
        return found

    def __set__(self, dataset: Any, value: Array | None) -> None:
        serialized_of(dataset).write(self._name, value)
