"""Data sets made of other data sets."""

import copy
import math
import warnings
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NoReturn, Protocol, cast, runtime_checkable

import numpy as np
from torch.utils.data import Dataset

from engine_dataset._buffer import SharedIntegers
from engine_dataset._lazy import force_full_init
from engine_registry import DATASETS


@runtime_checkable
class LazyDataset(Protocol):
    """What a wrapper needs of the data set in it: ``BaseDataset``, or another wrapper."""

    @property
    def metainfo(self) -> dict[str, Any]:
        """Meta information."""

    def full_init(self) -> None:
        """Loads the records."""

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Gives the record of a sample."""

    def __len__(self) -> int: ...

    def __getitem__(self, idx: int) -> Any: ...


def _build(dataset: LazyDataset | Mapping[str, Any]) -> LazyDataset:
    built = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
    if not isinstance(built, LazyDataset):
        raise TypeError(
            "elements in datasets sequence should be config or `BaseDataset` instance, but got "
            f"{type(built)}"
        )
    return built


class _Wrapper(Dataset[Any], ABC):
    """What all wrappers share: laziness, meta information, and samples that lie elsewhere."""

    _fully_initialized = False
    _metainfo: dict[str, Any]

    @property
    def metainfo(self) -> dict[str, Any]:
        """Meta information of the wrapped data set, the first of several; a copy."""
        return copy.deepcopy(self._metainfo)

    @abstractmethod
    def full_init(self) -> None:
        """Loads what is wrapped."""

    @abstractmethod
    def _locate(self, idx: int) -> tuple[LazyDataset, int]:
        """Finds the data set and the index there of sample ``idx``, which lies in the range."""

    @abstractmethod
    def __len__(self) -> int: ...

    def _source_of(self, idx: int) -> tuple[LazyDataset, int]:
        size = len(self)
        if not -size <= idx < size:
            raise IndexError(f"sample {idx} of a {type(self).__name__} of {size} samples")
        return self._locate(idx % size)

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Gives the record of a sample."""
        dataset, inner = self._source_of(idx)
        return dataset.get_data_info(inner)

    @force_full_init
    def get_cat_ids(self, idx: int) -> list[int]:
        """Tells the categories in a sample, as the wrapped data set does."""
        dataset, inner = self._source_of(idx)
        return cast(Any, dataset).get_cat_ids(inner)  # type: ignore[no-any-return] # theirs to say

    def __getitem__(self, idx: int) -> Any:
        if not self._fully_initialized:
            warnings.warn(
                f"{type(self).__name__} is read before it is loaded. Please call `full_init` "
                f"method manually to accelerate the speed.",
                stacklevel=2,
            )
            self.full_init()
        dataset, inner = self._source_of(idx)
        return dataset[inner]

    def __iter__(self) -> Iterator[Any]:
        return (self[idx] for idx in range(len(self)))

    def get_subset_(self, indices: int | Sequence[int]) -> NoReturn:
        """Raises ``NotImplementedError``: whether to subset before or after wrapping is open."""
        self._refuse_subset()

    def get_subset(self, indices: int | Sequence[int]) -> NoReturn:
        """Raises ``NotImplementedError``: whether to subset before or after wrapping is open."""
        self._refuse_subset()

    def _refuse_subset(self) -> NoReturn:
        name = type(self).__name__
        raise NotImplementedError(
            f"a subset of a {name} is ambiguous; give `indices` to the data set, or take its "
            f"subset, before it is wrapped in {name}"
        )


@DATASETS.register_module()
class ConcatDataset(_Wrapper):
    """Several data sets one after the other.

    Args:
        datasets: Data sets or their configs.
        lazy_init: Whether to put off loading them until records are needed.
        ignore_keys: Keys of the meta information that may differ; all others must be equal.

    Raises:
        TypeError: An element is neither a config nor a data set.
        ValueError: There is none, or meta information differs.

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
        (3, {'letter': 'c'})
    """

    def __init__(
        self,
        datasets: Sequence[LazyDataset | Mapping[str, Any]],
        lazy_init: bool = False,
        ignore_keys: str | Sequence[str] | None = None,
    ) -> None:
        if not isinstance(datasets, list | tuple):
            raise TypeError(
                f"ConcatDataset needs a list of data sets, but got {type(datasets).__name__}"
            )
        self.datasets = [_build(dataset) for dataset in datasets]
        if not self.datasets:
            raise ValueError("ConcatDataset needs at least one data set, but got none")
        self.ignore_keys = [ignore_keys] if isinstance(ignore_keys, str) else [*(ignore_keys or ())]
        self.cumulative_sizes: list[int] = []
        self._take_metainfo()
        if not lazy_init:
            self.full_init()

    def _take_metainfo(self) -> None:
        first, *others = (dataset.metainfo for dataset in self.datasets)
        for number, other in enumerate(others, 1):
            for key in sorted({*first, *other} - {*self.ignore_keys}, key=str):
                if key not in first or key not in other or not _equal(first[key], other[key]):
                    raise ValueError(
                        f"the meta information of data set {number} does not match that of the "
                        f"first: {key!r} is {other.get(key)!r} and {first.get(key)!r}. Make them "
                        f"equal, or name the key in `ignore_keys`"
                    )
        self._metainfo = first

    def full_init(self) -> None:
        """Loads every data set; does nothing when that has been done."""
        if self._fully_initialized:
            return
        for dataset in self.datasets:
            dataset.full_init()
        self._take_metainfo()  # The annotation files may have brought more.
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))
        self._fully_initialized = True

    def _locate(self, idx: int) -> tuple[LazyDataset, int]:
        number = bisect_right(self.cumulative_sizes, idx)
        return self.datasets[number], idx - (self.cumulative_sizes[number - 1] if number else 0)

    @force_full_init
    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


@DATASETS.register_module()
class RepeatDataset(_Wrapper):
    """A data set several times over: epochs get longer, and the pauses between them rarer.

    Args:
        dataset: The data set or its config.
        times: How often each sample comes in an epoch.
        lazy_init: Whether to put off loading it until records are needed.

    Raises:
        TypeError: ``dataset`` is neither a config nor a data set.
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
            raise TypeError(f"times must be an integer, but got {type(times).__name__}: {times!r}")
        if times < 1:
            raise ValueError(f"times must be at least 1, but got {times}")
        self.dataset = _build(dataset)
        self.times = times
        self._metainfo = self.dataset.metainfo
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Loads the data set; does nothing when that has been done."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        self._metainfo = self.dataset.metainfo
        self._fully_initialized = True

    def _locate(self, idx: int) -> tuple[LazyDataset, int]:
        return self.dataset, idx % len(self.dataset)

    @force_full_init
    def __len__(self) -> int:
        return self.times * len(self.dataset)


@DATASETS.register_module()
class ClassBalancedDataset(_Wrapper):
    """A data set in which samples of rare categories come several times an epoch.

    With ``f(c)`` the fraction of samples that hold category ``c``, a sample comes
    ``ceil(max(1, sqrt(oversample_thr / f(c))))`` times, for the rarest of its categories (Gupta,
    Dollár and Girshick, "LVIS", CVPR 2019, section 5.1).

    Args:
        dataset: The data set, which must have ``get_cat_ids``, or its config.
        oversample_thr: Categories in a larger fraction of the samples than this are not repeated.
        lazy_init: Whether to put off loading it until records are needed.

    Raises:
        TypeError: ``dataset`` is neither a config nor a data set.

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
        self._metainfo = self.dataset.metainfo
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Loads the data set and counts its categories; does nothing when that has been done."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        self._metainfo = self.dataset.metainfo
        self._origins = SharedIntegers(self._repeated_indices())
        self._fully_initialized = True

    def _repeated_indices(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Lists the index of each sample as often as it is to come."""
        source = cast(Any, self.dataset)
        categories = [frozenset(source.get_cat_ids(idx)) for idx in range(len(source))]
        counts = Counter(category for held in categories for category in held)
        factor = {
            category: max(1.0, math.sqrt(self.oversample_thr * len(categories) / count))
            for category, count in counts.items()
        }
        times = [math.ceil(max((factor[one] for one in held), default=1.0)) for held in categories]
        return np.repeat(np.arange(len(categories), dtype=np.int64), times)

    def _locate(self, idx: int) -> tuple[LazyDataset, int]:
        return self.dataset, self._origins.view[idx]

    @force_full_init
    def __len__(self) -> int:
        return len(self._origins)
