"""The base dataset: read records from an annotation file, and make samples by a pipeline."""

import copy
import logging
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar

import numpy as np
from torch.utils.data import Dataset

from engine_dataset._compose import Compose
from engine_dataset._errors import SampleError
from engine_dataset._lazy import force_full_init, load_with_warning
from engine_dataset._records import RecordStore
from engine_fileio import join_path, list_from_file, load
from engine_registry import DATASETS
from engine_utils import expand_home, is_abs

_logger = logging.getLogger("engine.dataset")

Record = dict[str, Any]
Indices = int | Sequence[int]


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
    _fully_initialized = False

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
        self.ann_file = _join(self.data_root, os.fspath(ann_file)) if ann_file else ""
        self.data_prefix = _join_prefixes(self.data_root, data_prefix)
        self.backend_args = None if backend_args is None else dict(backend_args)
        self.trusted = trusted
        self.filter_cfg = copy.deepcopy(filter_cfg)
        self.serialize_data = serialize_data
        self.test_mode = test_mode
        self.max_refetch = max_refetch
        self.data_list: list[Record] = []
        self._indices = indices
        self._metainfo = _merge_metainfo(self.METAINFO, metainfo)
        self._records: Sequence[Record] = self.data_list
        self.pipeline = Compose(pipeline)
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict[str, Any]:
        """A copy of the meta information, which the caller may change."""
        return copy.deepcopy(self._metainfo)

    def full_init(self) -> None:
        """Read, filter, subset and store the records. A second call does nothing."""
        if self._fully_initialized:
            return
        self.data_list = self._list_from("load_data_list", self.load_data_list())
        self.data_list = self._list_from("filter_data", self.filter_data())
        if self._indices is not None:
            self.data_list = _pick(self.data_list, self._indices)
        self._records = self.data_list
        if self.serialize_data:
            self._records = RecordStore(self.data_list)
            # Drop the list: reading it changes the reference counts of its objects, so each forked
            # worker would soon copy all of its memory.
            self.data_list = []
        self._fully_initialized = True

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
            key: _join(prefix, raw_data_info[key])
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
        record = self._records[idx]
        copied = record if self.serialize_data else copy.deepcopy(record)
        copied["sample_idx"] = idx if idx >= 0 else len(self._records) + idx
        return copied

    @force_full_init
    def __len__(self) -> int:
        return len(self._records)

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

    def _sample_error(self, idx: int, problem: str) -> SampleError:
        path = _path_in(self._records[idx])
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
        self._take_records(self._chosen_records(indices))

    @force_full_init
    def get_subset(self, indices: Indices) -> "BaseDataset":
        """Return a new dataset of the chosen samples, which shares the stored records.

        Args:
            indices: The samples, as for `get_subset_`.
        """
        chosen = self._chosen_records(indices)
        # The memo makes deepcopy replace all records by an empty list. The copy gets only the
        # chosen ones.
        subset = copy.deepcopy(self, {id(self._records): [], id(self.data_list): []})
        subset._take_records(copy.deepcopy(chosen))
        return subset

    def _chosen_records(self, indices: Indices) -> Sequence[Record]:
        if isinstance(self._records, RecordStore):
            return self._records.select(_positions(indices, len(self._records)))
        return _pick(self.data_list, indices)

    def _take_records(self, records: Sequence[Record]) -> None:
        self._records = records
        self.data_list = records if isinstance(records, list) else []

    def __repr__(self) -> str:
        size = f"{len(self)} samples" if self._fully_initialized else "not loaded yet"
        origin = f" from {self.ann_file}" if self.ann_file else ""
        return f"{type(self).__name__}({size}{origin})"


def _positions(indices: Indices, size: int) -> slice | list[int]:
    if isinstance(indices, int):
        return slice(None, indices) if indices >= 0 else slice(indices, None)
    positions = np.asarray(indices)
    if positions.ndim != 1 or (positions.size and positions.dtype.kind not in "iu"):
        raise TypeError(
            f"indices must be an integer or a sequence of integers, got "
            f"{type(indices).__name__}: {indices!r}"
        )
    outside = positions[(positions < -size) | (positions >= size)]
    if outside.size:
        raise IndexError(
            f"indices must be within the {size} samples of the dataset, got {outside[0]}"
        )
    return [int(position) for position in positions]


def _pick(records: list[Record], indices: Indices) -> list[Record]:
    positions = _positions(indices, len(records))
    if isinstance(positions, slice):
        return records[positions]
    return [records[position] for position in positions]


def _merge_metainfo(of_class: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    # A Config is not a Mapping; this package does not import it.
    if given is not None and not (isinstance(given, Mapping) or hasattr(given, "to_dict")):
        raise TypeError(
            f"metainfo must be a dict or a Config, got {type(given).__name__}: {given!r}"
        )
    values = {} if given is None else {key: _lines_or(given[key]) for key in given}
    return copy.deepcopy({**of_class, **values})


def _lines_or(value: Any) -> Any:
    """Return the lines of the file that a value names, or the value."""
    path = expand_home(value) if isinstance(value, str) else ""
    if not path or not os.path.isfile(path):
        return value
    _logger.info("metainfo is read from the lines of %s", path)
    return list_from_file(path)


def _join(root: str, path: str) -> str:
    path = expand_home(path)
    if not root or is_abs(path):
        return path
    # os.path.join would put a backslash into an address on Windows.
    return join_path(root, path) if "://" in root else os.path.join(root, path)


def _join_prefixes(root: str, prefixes: Mapping[str, str] | None) -> dict[str, str]:
    for key, prefix in (prefixes or {}).items():
        if not isinstance(prefix, str):
            raise TypeError(
                f"data_prefix[{key!r}] must be a folder, got {type(prefix).__name__}: {prefix!r}"
            )
    return {key: _join(root, prefix) for key, prefix in (prefixes or {}).items()}


def _path_in(record: Record) -> str | None:
    """Return the file of a record, by a key whose name contains "path" or "file"."""
    for key, value in record.items():
        if isinstance(value, str) and ("path" in key or "file" in key):
            return value
    return None
