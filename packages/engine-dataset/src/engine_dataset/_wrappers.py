"""Wrap datasets: concatenate, repeat or balance them."""

import copy
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NoReturn, Protocol, cast, runtime_checkable

import numpy as np
from torch.utils.data import ConcatDataset as TorchConcatDataset
from torch.utils.data import Dataset

from engine_dataset._buffer import SharedIntegers
from engine_dataset._lazy import force_full_init, load_with_warning
from engine_registry import DATASETS


@runtime_checkable
class LazyDataset(Protocol):
    """The interface of a dataset that a wrapper uses: a `BaseDataset` or another wrapper."""

    @property
    def metainfo(self) -> dict[str, Any]:
        """The meta information."""

    def full_init(self) -> None:
        """Load the records."""

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the record of a sample."""

    def __len__(self) -> int: ...

    def __getitem__(self, idx: int) -> Any: ...


class CategorizedDataset(LazyDataset, Protocol):
    """A dataset whose samples have categories."""

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the categories in a sample."""


def _build(dataset: LazyDataset | Mapping[str, Any]) -> LazyDataset:
    built = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
    if not isinstance(built, LazyDataset):
        # The text is documented.
        raise TypeError(
            "elements in datasets sequence should be config or `BaseDataset` instance, but got "
            f"{type(built)}"
        )
    return built


class _Wrapper(Dataset[Any], ABC):
    """The base of the wrappers: loading, meta information, and samples of other datasets.

    A subclass sets its attributes and then calls `_start`, or it sets ``_metainfo`` itself.
    """

    _fully_initialized = False
    _metainfo: dict[str, Any]
    # The meta information that `_start` took. Any other is that of a subclass, which is kept.
    _taken: dict[str, Any] | None = None

    @property
    def metainfo(self) -> dict[str, Any]:
        """A copy of the meta information of the wrapped dataset, or of the first of several."""
        return copy.deepcopy(self._metainfo)

    def full_init(self) -> None:
        """Load the wrapped datasets. A second call does nothing."""
        if self._fully_initialized:
            return
        for dataset in self._wrapped():
            dataset.full_init()
        if self._taken is not None and self._metainfo is self._taken:
            # Read it again: the annotation files may have added meta information.
            self._take_metainfo()
        self._prepare()
        self._fully_initialized = True

    def _start(self, lazy_init: bool) -> None:
        self._take_metainfo()
        if not lazy_init:
            self.full_init()

    def _take_metainfo(self) -> None:
        self._metainfo = self._taken = self._common_metainfo()

    def _common_metainfo(self) -> dict[str, Any]:
        """Return the meta information of the wrapper."""
        return self._wrapped()[0].metainfo

    def _prepare(self) -> None:
        """Compute the attributes that depend on the loaded records."""
        return

    @abstractmethod
    def _wrapped(self) -> Sequence[LazyDataset]:
        """Return the wrapped datasets."""

    @abstractmethod
    def _locate(self, idx: int) -> tuple[LazyDataset, int]:
        """Return the dataset of sample ``idx``, and its index there. ``idx`` is in range."""

    @abstractmethod
    def __len__(self) -> int: ...

    def _source_of(self, idx: int) -> tuple[LazyDataset, int]:
        return self._locate(self._in_range(idx))

    def _in_range(self, idx: int) -> int:
        """Return an index counted from 0, which is within the samples."""
        size = len(self)
        if not -size <= idx < size:
            raise IndexError(f"sample {idx} of a {type(self).__name__} of {size} samples")
        return idx % size

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the record of a sample."""
        dataset, inner = self._source_of(idx)
        return dataset.get_data_info(inner)

    @force_full_init
    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the categories in a sample, as the wrapped dataset does."""
        dataset, inner = self._source_of(idx)
        return cast(CategorizedDataset, dataset).get_cat_ids(inner)

    def __getitem__(self, idx: int) -> Any:
        if not self._fully_initialized:
            load_with_warning(self)
        dataset, inner = self._source_of(idx)
        return dataset[inner]

    def __iter__(self) -> Iterator[Any]:
        return (self[idx] for idx in range(len(self)))

    def get_subset_(self, indices: int | Sequence[int]) -> NoReturn:
        """Raise `NotImplementedError`: the subset of a wrapper is ambiguous."""
        self._reject_subset()

    def get_subset(self, indices: int | Sequence[int]) -> NoReturn:
        """Raise `NotImplementedError`: the subset of a wrapper is ambiguous."""
        self._reject_subset()

    def _reject_subset(self) -> NoReturn:
        name = type(self).__name__
        raise NotImplementedError(
            f"a subset of a {name} is ambiguous; give `indices` to the dataset, or take its "
            f"subset, before it is wrapped in {name}"
        )


@DATASETS.register_module()
class ConcatDataset(_Wrapper, TorchConcatDataset[Any]):
    """Concatenate datasets, as torch's class does; this one is lazy and has meta information.

    Args:
        datasets: Datasets or their configs.
        lazy_init: Whether to load them only when records are needed.
        ignore_keys: Keys of the meta information that may differ; all others must be equal.

    Raises:
        TypeError: An element is neither a config nor a dataset.
        ValueError: ``datasets`` is empty, or the meta information differs.

    Example:
        >>> from engine_dataset import BaseDataset
        >>> class Letters(BaseDataset):
        ...     def load_data_list(self):
        ...         return [{"letter": letter} for letter in self.metainfo["letters"]]
        >>> both = ConcatDataset(
        ...     [Letters(metainfo={"letters": "ab"}), Letters(metainfo={"letters": "c"})],
        ...     ignore_keys="letters",
        ... )
        >>> len(both), both[2]
        (3, {'letter': 'c', 'sample_idx': 0})
    """

    def __init__(
        self,
        datasets: Sequence[LazyDataset | Mapping[str, Any]],
        lazy_init: bool = False,
        ignore_keys: str | Sequence[str] | None = None,
    ) -> None:
        if not isinstance(datasets, list | tuple):
            raise TypeError(
                f"datasets must be a list of datasets or configs, got {type(datasets).__name__}"
            )
        self.datasets: list[Any] = [_build(dataset) for dataset in datasets]
        if not self.datasets:
            raise ValueError("datasets must have at least one element, got none")
        self.ignore_keys = [ignore_keys] if isinstance(ignore_keys, str) else [*(ignore_keys or ())]
        self.cumulative_sizes: list[int] = []
        self._start(lazy_init)

    def _wrapped(self) -> Sequence[LazyDataset]:
        return self.datasets

    def _common_metainfo(self) -> dict[str, Any]:
        metainfos: list[dict[str, Any]] = [dataset.metainfo for dataset in self.datasets]
        first, *others = metainfos
        for number, other in enumerate(others, 1):
            for key in sorted({*first, *other} - {*self.ignore_keys}, key=str):
                if key not in first or key not in other or not _equal(first[key], other[key]):
                    raise ValueError(
                        f"the meta information of dataset {number} must be equal to that of the "
                        f"first, but {key!r} is {other.get(key)!r} and {first.get(key)!r}; make "
                        f"them equal, or name the key in `ignore_keys`"
                    )
        return first

    def _prepare(self) -> None:
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def _locate(self, idx: int) -> tuple[LazyDataset, int]:
        number, inner = self._get_ori_dataset_idx(idx)
        return self.datasets[number], inner

    @force_full_init
    def _get_ori_dataset_idx(self, idx: int) -> tuple[int, int]:
        """Return the number of the dataset of a sample, and the index of the sample there."""
        idx = self._in_range(idx)
        number = bisect_right(self.cumulative_sizes, idx)
        return number, idx - (self.cumulative_sizes[number - 1] if number else 0)

    @force_full_init
    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def _equal(one: Any, other: Any) -> bool:
    # == of arrays is an array, and `bool` of an array raises an error.
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


@DATASETS.register_module()
class RepeatDataset(_Wrapper):
    """Repeat a dataset, for longer epochs with fewer pauses between them.

    Args:
        dataset: The dataset or its config.
        times: The number of times that each sample occurs in an epoch.
        lazy_init: Whether to load it only when records are needed.

    Raises:
        TypeError: ``dataset`` is neither a config nor a dataset.
        ValueError: ``times`` is less than 1.

    Example:
        >>> from engine_dataset import BaseDataset
        >>> class Letters(BaseDataset):
        ...     def load_data_list(self):
        ...         return [{"letter": letter} for letter in "ab"]
        >>> [sample["letter"] for sample in RepeatDataset(Letters(), times=2)]
        ['a', 'b', 'a', 'b']
    """

    def __init__(
        self, dataset: LazyDataset | Mapping[str, Any], times: int, lazy_init: bool = False
    ) -> None:
        if not isinstance(times, int):
            raise TypeError(f"times must be an integer >= 1, got {type(times).__name__}: {times!r}")
        if times < 1:
            raise ValueError(f"times must be an integer >= 1, got {times}")
        self.dataset = _build(dataset)
        self.times = times
        self._start(lazy_init)

    def _wrapped(self) -> Sequence[LazyDataset]:
        return [self.dataset]

    def _locate(self, idx: int) -> tuple[LazyDataset, int]:
        return self.dataset, self._get_ori_dataset_idx(idx)

    @force_full_init
    def _get_ori_dataset_idx(self, idx: int) -> int:
        """Return the index of a sample in the wrapped dataset."""
        return self._in_range(idx) % len(self.dataset)

    @force_full_init
    def __len__(self) -> int:
        return self.times * len(self.dataset)


@DATASETS.register_module()
class ClassBalancedDataset(_Wrapper):
    """Repeat the samples of rare categories.

    Let ``f(c)`` be the fraction of samples with category ``c``. A sample is repeated
    ``ceil(max(1, sqrt(oversample_thr / f(c))))`` times, for the rarest of its categories (Gupta,
    Dollár and Girshick, "LVIS", CVPR 2019, section 5.1).

    Args:
        dataset: The dataset, which must have `get_cat_ids`, or its config.
        oversample_thr: The fraction of samples above which a category is not repeated.
        lazy_init: Whether to load it only when records are needed.

    Raises:
        TypeError: ``dataset`` is neither a config nor a dataset.

    Example:
        >>> from engine_dataset import BaseDataset
        >>> class Labels(BaseDataset):
        ...     def load_data_list(self):
        ...         return [{"label": label} for label in (0, 0, 0, 1)]
        ...     def get_cat_ids(self, idx):
        ...         return [self.get_data_info(idx)["label"]]
        >>> [sample["label"] for sample in ClassBalancedDataset(Labels(), oversample_thr=0.5)]
        [0, 0, 0, 1, 1]
    """

    def __init__(
        self,
        dataset: LazyDataset | Mapping[str, Any],
        oversample_thr: float,
        lazy_init: bool = False,
    ) -> None:
        self.dataset = _build(dataset)
        self.oversample_thr = oversample_thr
        self._start(lazy_init)

    def _wrapped(self) -> Sequence[LazyDataset]:
        return [self.dataset]

    def _prepare(self) -> None:
        times = np.ceil(self._get_repeat_factors(self.dataset, self.oversample_thr))
        self.repeat_indices = np.repeat(np.arange(len(times)), times.astype(np.int64))

    def _get_repeat_factors(
        self, dataset: LazyDataset, repeat_thr: float
    ) -> Sequence[float] | np.ndarray[Any, Any]:
        """Return how often each sample is repeated, to be rounded up.

        Args:
            dataset: The wrapped dataset.
            repeat_thr: The fraction of samples above which a category is not repeated.
        """
        source = cast(CategorizedDataset, dataset)
        # A category counts once per sample, even if the sample lists it twice.
        categories = [frozenset(source.get_cat_ids(idx)) for idx in range(len(source))]
        counts = Counter(category for present in categories for category in present)
        factor = {
            category: max(1.0, math.sqrt(repeat_thr * len(categories) / count))
            for category, count in counts.items()
        }
        # A sample without categories occurs once.
        return [
            max((factor[category] for category in present), default=1.0) for present in categories
        ]

    @property
    def repeat_indices(self) -> Sequence[int]:
        """The index of each sample in the wrapped dataset, repeated as often as the sample is."""
        return self._repeat_indices

    @repeat_indices.setter
    def repeat_indices(self, indices: Sequence[int] | np.ndarray[Any, Any]) -> None:
        # Share them: a large dataset has millions of indices, which each worker would copy.
        self._repeat_indices = SharedIntegers(np.asarray(indices, dtype=np.int64))

    def _locate(self, idx: int) -> tuple[LazyDataset, int]:
        return self.dataset, self._get_ori_dataset_idx(idx)

    @force_full_init
    def _get_ori_dataset_idx(self, idx: int) -> int:
        """Return the index of a sample in the wrapped dataset."""
        return self._repeat_indices.view[idx]

    @force_full_init
    def __len__(self) -> int:
        return len(self._repeat_indices)
