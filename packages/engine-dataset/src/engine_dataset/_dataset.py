"""The base dataset: read records from an annotation file, and make samples by a pipeline."""

import copy
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar

from torch.utils.data import Dataset

from engine_dataset._compose import Compose
from engine_dataset._errors import SampleError
from engine_dataset._lazy import force_full_init, load_with_warning
from engine_dataset._metainfo import merged_metainfo
from engine_dataset._prefixes import copy_of, join, join_prefixes
from engine_dataset._records import Array, RecordStore
from engine_dataset._selection import Indices, pick, positions_of
from engine_dataset._serialized import Serialized, SerializedArray
from engine_fileio import load
from engine_registry import DATASETS
from engine_utils import expand_home

Record = dict[str, Any]


@DATASETS.register_module()
class BaseDataset(Dataset[Any]):
    """Read records from an annotation file, and turn them into samples by a pipeline.

    The file contains ``{"metainfo": {…}, "data_list": [{…}, …]}`` in any format that engine-fileio
    reads. Subclasses override `parse_data_info` for other records, `load_data_list` for other
    files, `filter_data` and `get_cat_ids`.

    Construction has four steps: meta information, paths, pipeline, and `full_init`, which reads
    the records, filters them, takes the subset and moves them to memory that workers share.

    Args:
        ann_file: The annotation file, relative to ``data_root`` or absolute, local or remote.
        metainfo: Meta information. It overrides ``METAINFO`` of the class, which overrides the
            meta information of the file. A value that is the path of an existing local file is
            replaced by the list of its lines, such as class names.
        data_root: The folder of ``ann_file`` and of the folders in ``data_prefix``. ``~`` at the
            start of a path is the home folder.
        data_prefix: For each path key of a record, the folder that its value is relative to.
        filter_cfg: The settings of `filter_data`, stored as given.
        indices: The records to keep: ``n`` for the first ``n``, ``-n`` for the last ``n``, or a
            sequence of positions. ``None`` keeps all.
        serialize_data: Whether to pickle the records and share them between workers. Otherwise each
            worker has its own list.
        pipeline: Transforms, or their configs, applied to each record.
        test_mode: Whether to raise an error if the pipeline rejects a sample by returning ``None``.
            Otherwise another sample replaces it.
        lazy_init: Whether to run `full_init` only when records are needed.
        max_refetch: The number of other samples to try for one that the pipeline rejects.
        backend_args: The storage arguments of the annotation file, as for `engine_fileio.load`.
        trusted: Whether you trust the author of the annotation file. Reading a pickle of arrays or
            other objects runs code, so it raises an error otherwise.

    Example:
        >>> class Numbers(BaseDataset):
        ...     METAINFO = {"classes": ("even", "odd")}
        ...     def load_data_list(self):
        ...         return [{"value": number, "label": number % 2} for number in range(5)]
        >>> dataset = Numbers(pipeline=[lambda record: record["value"] * 10])
        >>> len(dataset), dataset[3], dataset.get_data_info(3)
        (5, 30, {'value': 3, 'label': 1, 'sample_idx': 3})
        >>> dataset.get_subset(-2).get_data_info(0)
        {'value': 3, 'label': 1, 'sample_idx': 0}
    """

    METAINFO: ClassVar[Mapping[str, Any]] = {}

    data_bytes = SerializedArray()
    data_address = SerializedArray()

    # Defaults for a subclass with a constructor of its own that does not call this one.
    backend_args: dict[str, Any] | None = None
    trusted = False
    _fully_initialized = False
    _serialized = Serialized()

    def __init__(
        self,
        ann_file: str | PathLike[str] = "",
        metainfo: Mapping[str, Any] | None = None,
        data_root: str | PathLike[str] | None = "",
        data_prefix: Mapping[str, str] = {"img_path": ""},
        filter_cfg: Mapping[str, Any] | None = None,
        indices: Indices | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[Callable[[Any], Any] | Mapping[str, Any]] = [],
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
        *,
        backend_args: Mapping[str, Any] | None = None,
        trusted: bool = False,
    ) -> None:
        self.data_root = expand_home(os.fspath(data_root or ""))
        self.ann_file = os.fspath(ann_file) if isinstance(ann_file, PathLike) else ann_file
        self.data_prefix = copy_of(data_prefix)
        # A subclass may have set them before.
        if backend_args is not None:
            self.backend_args = dict(backend_args)
        self.trusted = trusted or self.trusted
        self.filter_cfg = copy.deepcopy(filter_cfg)
        self.serialize_data = serialize_data
        self.test_mode = test_mode
        self.max_refetch = max_refetch
        self.data_list: list[Record] = []
        self._indices = indices
        self._metainfo = self._load_metainfo(metainfo)
        self._join_prefix()
        self.pipeline = Compose(pipeline)
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict[str, Any]:
        """A copy of the meta information, which the caller may change."""
        return copy.deepcopy(self._metainfo)

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the meta information of the class, with that of the argument over it."""
        return merged_metainfo(cls.METAINFO, metainfo)

    def _join_prefix(self) -> None:
        """Join ``ann_file`` and the folders in ``data_prefix`` with ``data_root``."""
        root = self.data_root or ""
        if not isinstance(self.ann_file, str):
            raise TypeError(
                f"ann_file must be a path, got {type(self.ann_file).__name__}: {self.ann_file!r}; "
                f"for another value, override `_join_prefix`"
            )
        self.ann_file = join(root, self.ann_file) if self.ann_file else ""
        self.data_prefix = join_prefixes(root, self.data_prefix)

    def full_init(self) -> None:
        """Read, filter, subset and store the records. A second call does nothing."""
        if self._fully_initialized:
            return
        self.data_list = self._list_from("load_data_list", self.load_data_list())
        self.data_list = self._list_from("filter_data", self.filter_data())
        if self._indices is not None:
            self.data_list = self._get_unserialized_subset(self._indices)
        self._serialized = Serialized()
        if self.serialize_data:
            self.data_bytes, self.data_address = self._serialize_data()
        self._fully_initialized = True

    def _serialize_data(self) -> tuple[Array, Array]:
        """Move the records of ``data_list`` to memory that workers share.

        Returns:
            The pickled records one after the other, uint8, and where each ends, shape ``(N,)``.
        """
        self._serialized, arrays = self._serialized.serialize(self.data_list)
        # Drop the list: reading it changes the reference counts of its objects, so each forked
        # worker would soon copy all of its memory.
        self.data_list = []
        return arrays

    def _list_from(self, method: str, records: list[Record]) -> list[Record]:
        if not isinstance(records, Sequence) or isinstance(records, str | bytes):
            raise TypeError(
                f"`{method}` of {type(self).__name__} must return a list of records, got "
                f"{type(records).__name__}: {records!r}"
            )
        return records

    def load_data_list(self) -> list[Record]:
        """Read ``ann_file`` and parse its records.

        Meta information of the file is added if neither the class nor the argument has it.

        Returns:
            One dict per sample.

        Raises:
            ValueError: There is no annotation file, or it lacks ``metainfo`` or ``data_list``.
            TypeError: The file, or the result of `parse_data_info`, has another structure.
            UntrustedDataError: The file is a pickle of more than plain data, and ``trusted`` is
                false.
        """
        annotations = self._read_annotations()
        for key, value in annotations["metainfo"].items():
            self._metainfo.setdefault(key, value)
        data_list: list[Record] = []
        for raw in annotations["data_list"]:
            parsed = self.parse_data_info(raw)
            samples = parsed if isinstance(parsed, list) else [parsed]
            for sample in samples:
                if not isinstance(sample, dict):
                    raise TypeError(
                        f"`parse_data_info` of {type(self).__name__} must return a dict or a list "
                        f"of dicts, got {type(sample).__name__} {sample!r} for the record {raw!r}"
                    )
            data_list.extend(samples)
        return data_list

    def _read_annotations(self) -> Mapping[str, Any]:
        if not self.ann_file:
            raise ValueError(
                f"ann_file of {type(self).__name__} must be given, got none; give it, or override "
                f"`load_data_list` to load the records from elsewhere"
            )
        annotations = load(self.ann_file, backend_args=self.backend_args, trusted=self.trusted)
        if not isinstance(annotations, Mapping):
            raise TypeError(
                f"annotation file {self.ann_file} must contain a dict with the keys 'metainfo' and "
                f"'data_list', got {type(annotations).__name__}"
            )
        missing = [key for key in ("metainfo", "data_list") if key not in annotations]
        if missing:
            raise ValueError(
                f"annotation file {self.ann_file} lacks {missing}; it has {sorted(annotations)}; "
                f"convert the file, or override `load_data_list`"
            )
        metainfo, data_list = annotations["metainfo"], annotations["data_list"]
        if not isinstance(metainfo, Mapping) or not isinstance(data_list, list):
            raise TypeError(
                f"annotation file {self.ann_file} must contain a dict 'metainfo' and a list "
                f"'data_list', got {type(metainfo).__name__} and {type(data_list).__name__}"
            )
        return annotations

    def parse_data_info(self, raw_data_info: Record) -> Record | list[Record]:
        """Convert one record of the file to a record of the dataset, or to a list of them.

        By default the folders of ``data_prefix`` are joined with the paths in the record. A
        subclass may return several records, such as the frames of a video.
        """
        joined = {
            key: join(prefix, raw_data_info[key])
            for key, prefix in self.data_prefix.items()
            if key in raw_data_info
        }
        return {**raw_data_info, **joined}

    def filter_data(self) -> list[Record]:
        """Return the records of ``self.data_list`` to keep, by default all.

        A subclass that filters reads ``self.filter_cfg``.
        """
        return self.data_list

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the categories in a sample, for `ClassBalancedDataset`; override it."""
        raise NotImplementedError(
            f"{type(self).__name__} must override `get_cat_ids(idx)` to return the categories in a "
            f"sample as a list of integers"
        )

    @force_full_init
    def get_data_info(self, idx: int) -> Record:
        """Return a copy of the record of a sample, which the caller may change.

        It has ``sample_idx``, the index of the sample from 0, also for a negative ``idx``.
        """
        records = self._stored_records
        record = records[idx]
        # A store returns a new object each time.
        copied = record if records is not self.data_list else copy.deepcopy(record)
        copied["sample_idx"] = idx if idx >= 0 else len(records) + idx
        return copied

    @property
    def _stored_records(self) -> Sequence[Record]:
        """The records, from wherever they are."""
        serialized = self._serialized
        if serialized.store is not None:
            return serialized.store
        serialized.check()
        return self.data_list

    @force_full_init
    def __len__(self) -> int:
        return len(self._stored_records)

    def __getitem__(self, idx: int) -> Any:
        if not self._fully_initialized:
            load_with_warning(self)
        sample = self._prepared(idx)
        return sample if sample is not None else self._replacement(idx)

    def __iter__(self) -> Iterator[Any]:
        return (self[idx] for idx in range(len(self)))

    def _prepared(self, idx: int) -> Any:
        try:
            return self.prepare_data(idx)
        except SampleError:
            raise
        except Exception as error:
            # Check the index only after an error, to keep the usual path fast. An IndexError ends
            # iteration, so one that the pipeline raises must become a SampleError.
            size = len(self)
            if not -size <= idx < size:
                raise IndexError(f"sample {idx} of a {type(self).__name__} of {size}") from error
            problem = f"could not be prepared: {type(error).__name__}: {error}"
            raise self._sample_error(idx, problem) from error

    def _replacement(self, idx: int) -> Any:
        """Return another sample in place of one that the pipeline rejected."""
        if self.test_mode:
            raise self._sample_error(idx, "was rejected: the pipeline returned None in test mode")
        # Seed by the index alone: a resumed run gets the same replacement.
        chooser = random.Random(idx % len(self))
        for _ in range(self.max_refetch):
            sample = self._prepared(chooser.randrange(len(self)))
            if sample is not None:
                return sample
        raise self._sample_error(
            idx,
            f"and {self.max_refetch} others tried in its place were rejected: the pipeline "
            f"returned None for all",
        )

    def _rand_another(self) -> int:
        """Return the index of a random sample, for a subclass that replaces samples itself."""
        return random.randrange(len(self))

    def _sample_error(self, idx: int, problem: str) -> SampleError:
        path = _path_in(self._stored_records[idx])
        origin = f"{path} in " if path else ""
        where = f"{origin}{self.ann_file or type(self).__name__}"
        return SampleError(f"sample {idx} ({where}) {problem}", index=idx, path=path)

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on the record of a sample."""
        return self.pipeline(self.get_data_info(idx))

    @force_full_init
    def get_subset_(self, indices: Indices) -> None:
        """Keep only the chosen samples.

        Args:
            indices: ``n`` for the first ``n``, ``-n`` for the last ``n``, or a sequence of
                positions.

        Raises:
            TypeError: ``indices`` is neither an integer nor a sequence of integers.
            IndexError: A position is outside the dataset.
        """
        self._serialized, self.data_list = self._chosen(indices)

    @force_full_init
    def get_subset(self, indices: Indices) -> "BaseDataset":
        """Return a new dataset of the chosen samples, which shares the stored records.

        Args:
            indices: The samples, as for `get_subset_`.
        """
        subset = self._copy_without_annotation()
        subset._serialized, records = self._chosen(indices)
        subset.data_list = copy.deepcopy(records)
        return subset

    def _copy_without_annotation(self, memo: Mapping[int, Any] = {}) -> "BaseDataset":
        """Return a copy without the records."""
        # The memo makes deepcopy replace the records by an empty list.
        copied = copy.deepcopy(self, {**memo, id(self.data_list): []})
        copied._serialized = Serialized()
        return copied

    def _chosen(self, indices: Indices) -> tuple[Serialized, list[Record]]:
        """Return the chosen records: serialized ones, which share the bytes, or a list."""
        records = self._stored_records
        if isinstance(records, RecordStore):
            return Serialized(records.select(positions_of(indices, len(records)))), []
        return Serialized(), self._get_unserialized_subset(indices)

    def _get_unserialized_subset(self, indices: Indices) -> list[Record]:
        """Return the chosen records of ``data_list``."""
        return pick(self.data_list, indices)

    def _get_serialized_subset(self, indices: Indices) -> tuple[Array, Array]:
        """Return the chosen records as `_serialize_data` returns all of them."""
        records = self._stored_records
        if not isinstance(records, RecordStore):
            raise ValueError(
                f"the records of {type(self).__name__} must be serialized, got a list of "
                f"{len(records)}; set serialize_data=True, or take `_get_unserialized_subset`"
            )
        return records.select(positions_of(indices, len(records))).arrays

    def __repr__(self) -> str:
        size = f"{len(self)} samples" if self._fully_initialized else "not loaded yet"
        origin = f" from {self.ann_file}" if self.ann_file else ""
        return f"{type(self).__name__}({size}{origin})"


def _path_in(record: Record) -> str | None:
    """Return the file of a record, by a key whose name contains "path" or "file"."""
    for key, value in record.items():
        if isinstance(value, str) and ("path" in key or "file" in key):
            return value
    return None
