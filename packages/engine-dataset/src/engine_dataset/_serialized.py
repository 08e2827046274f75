"""The serialized records of a dataset as two arrays, which code may read and set."""

from typing import Any

from engine_dataset._records import Array, RecordStore

Arrays = tuple[Array, Array]

_NAMES = ("data_bytes", "data_address")


class Serialized:
    """The records of a dataset in shared memory, or the arrays that code is about to set.

    ``data_bytes`` and ``data_address`` are set one after the other. The records are moved to
    shared memory when both are there and fit together. An object is not changed, because a shallow
    copy of a dataset has the same one.

    Attributes:
        store: The records; ``None`` if they are not serialized.
    """

    def __init__(
        self,
        store: RecordStore | None = None,
        arrays: dict[str, Array] | None = None,
        made: tuple[RecordStore, Arrays] | None = None,
    ) -> None:
        self.store = store
        # The arrays that are set, while they do not fit together.
        self._set = arrays or {}
        # The records that `serialize` stored, and their arrays, until these are set.
        self._made = made

    def serialize(self, records: list[Any]) -> tuple["Serialized", Arrays]:
        """Store records; return what stands for them, and the arrays that are to be set."""
        store = RecordStore(records)
        arrays = store.arrays
        return Serialized(self.store, self._set, (store, arrays)), arrays

    def read(self, name: str) -> Array | None:
        """Return one of the arrays, or None if the records are not serialized."""
        if self.store is not None:
            return self.store.arrays[_NAMES.index(name)]
        return self._set.get(name)

    def written(self, name: str, value: Array | None) -> "Serialized":
        """Return the records with one of the arrays set; ``None`` removes them."""
        if value is None:
            return Serialized()
        arrays = self._set
        if self.store is not None:
            arrays = dict(zip(_NAMES, self.store.arrays, strict=True))
        arrays = {**arrays, name: value}
        store = self._settled(arrays) if len(arrays) == len(_NAMES) else None
        return Serialized(None, arrays, self._made) if store is None else Serialized(store)

    def _settled(self, arrays: dict[str, Array]) -> RecordStore | None:
        """Return the records of two arrays, or None if they do not fit together."""
        data_bytes, data_address = (arrays[name] for name in _NAMES)
        if self._made is not None:
            store, (its_bytes, its_ends) = self._made
            if data_bytes is its_bytes and data_address is its_ends:
                return store  # in shared memory already
        size = int(data_address[-1]) if len(data_address) else 0
        if len(data_bytes) != size:
            return None
        return RecordStore.from_arrays(data_bytes, data_address)

    def check(self) -> None:
        """Raise `ValueError` if only one array is set, or both do not fit together."""
        if self._set:
            sizes = ", ".join(f"{name} of {len(array)}" for name, array in self._set.items())
            raise ValueError(
                f"data_bytes and data_address must be set together, and data_address must end at "
                f"the length of data_bytes, got {sizes}; set both to what `_serialize_data` returns"
            )


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
        dataset._serialized = dataset._serialized.written(self._name, value)
