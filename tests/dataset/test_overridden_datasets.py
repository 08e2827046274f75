"""Datasets as libraries write them: they override or call the parts of `BaseDataset`."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from engine_config import Config
from engine_dataset import BaseDataset, Compose, ConcatDataset
from engine_utils import is_abs

Record = dict[str, Any]


class Digits(BaseDataset):
    METAINFO: ClassVar = {"classes": ("even", "odd")}

    def load_data_list(self) -> list[Record]:
        return [{"value": value} for value in range(6)]

    def filter_data(self) -> list[Record]:
        return self.data_list[1:]


class ByHand(Digits):
    """Its `full_init` is that of the manual, written out."""

    def full_init(self) -> None:
        if self._fully_initialized:
            return
        self.data_list = self.load_data_list()
        self.data_list = self.filter_data()
        if self._indices is not None:
            self.data_list = self._get_unserialized_subset(self._indices)
        if self.serialize_data:
            self.data_bytes, self.data_address = self._serialize_data()
        self._fully_initialized = True


class Bare(Digits):
    """Its `full_init` leaves the records in a list."""

    def full_init(self) -> None:
        self.data_list = self.load_data_list()
        self.data_list = self.filter_data()
        self._fully_initialized = True


class OwnFormat(ByHand):
    """It serializes the records itself."""

    def _serialize_data(self) -> Any:
        pickled = [np.frombuffer(pickle.dumps(one), dtype=np.uint8) for one in self.data_list]
        self.data_list.clear()
        return np.concatenate(pickled), np.cumsum([len(one) for one in pickled])


class OwnReader(ByHand):
    """It reads the serialized records itself."""

    def get_data_info(self, idx: int) -> Record:
        begin = self.data_address[idx - 1] if idx else 0
        record: Record = pickle.loads(memoryview(self.data_bytes[begin : self.data_address[idx]]))
        return record


class OwnConstructor(Digits):
    """It sets what it needs, and does not call the constructor of the base."""

    def __init__(self, ann_file: str = "", metainfo: Any = None, pipeline: Any = ()) -> None:
        self.ann_file = ann_file
        self.data_root: Any = None
        self.data_prefix = {"img_path": ""}
        self.filter_cfg = None
        self._indices = None
        self.serialize_data = True
        self.test_mode = False
        self.max_refetch = 2
        self.data_list = []
        self._metainfo = self._load_metainfo(copy.deepcopy(metainfo))
        self._join_prefix()
        self.pipeline = Compose(pipeline)
        self.full_init()


def _values(dataset: Any) -> list[int]:
    return [dataset.get_data_info(idx)["value"] for idx in range(len(dataset))]


@pytest.mark.parametrize("kind", [Digits, ByHand, Bare, OwnFormat, OwnReader, OwnConstructor])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda one: one])
def test_overridden_dataset_has_its_records(
    kind: type[BaseDataset], duplicate: Callable[[Any], Any]
) -> None:
    dataset = duplicate(kind())
    assert _values(dataset) == [1, 2, 3, 4, 5]
    assert [sample["value"] for sample in dataset] == [1, 2, 3, 4, 5]
    assert _values(dataset.get_subset([3, 0])) == [4, 1]
    assert _values(dataset) == [1, 2, 3, 4, 5]
    dataset.get_subset_(-2)
    assert _values(dataset) == [4, 5]


@pytest.mark.parametrize("kind", [Digits, ByHand])
@pytest.mark.parametrize("serialize_data", [True, False])
def test_overridden_dataset_takes_its_indices(
    kind: type[BaseDataset], serialize_data: bool
) -> None:
    assert _values(kind(indices=[4, 1], serialize_data=serialize_data)) == [5, 2]


@pytest.mark.parametrize("serialize_data", [True, False])
@pytest.mark.parametrize("idx", [0, 2, -1, -5])
def test_record_has_the_index_of_its_sample(serialize_data: bool, idx: int) -> None:
    dataset = Digits(serialize_data=serialize_data)
    assert dataset.get_data_info(idx)["sample_idx"] == idx % 5
    assert dataset[idx]["sample_idx"] == idx % 5
    if not serialize_data:
        assert "sample_idx" not in dataset.data_list[idx]


def test_serialized_records_are_arrays_of_pickles() -> None:
    dataset = Digits()
    assert dataset.data_bytes.dtype == np.uint8
    assert len(dataset.data_bytes) == dataset.data_address[-1]
    first = pickle.loads(dataset.data_bytes[: dataset.data_address[0]])
    assert first == {"value": 1}
    assert not hasattr(Digits(serialize_data=False), "data_bytes")


def test_serialized_subset_is_arrays_of_the_chosen_records() -> None:
    dataset = Digits()
    data_bytes, data_address = dataset._get_serialized_subset([4, 0])
    assert len(data_address) == 2
    other = Digits()
    other.data_bytes, other.data_address = data_bytes, data_address
    assert _values(other) == [5, 1]
    assert other.data_bytes.tobytes() == data_bytes.tobytes()


def test_arrays_of_a_shallow_copy_leave_the_dataset_as_it_is() -> None:
    dataset = Digits()
    copied = copy.copy(dataset)
    copied.data_bytes, copied.data_address = dataset._get_serialized_subset([0])
    assert (_values(copied), _values(dataset)) == ([1], [1, 2, 3, 4, 5])


def test_set_arrays_are_moved_to_memory_that_workers_share() -> None:
    dataset = OwnFormat()
    store = dataset._serialized.store
    assert store is not None
    assert dataset.get_subset(2)._serialized.store._content is store._content  # type: ignore[union-attr]


def test_half_of_the_arrays_raises_when_records_are_read() -> None:
    dataset = Digits()
    dataset.data_bytes = dataset.data_bytes[:3]
    with pytest.raises(ValueError, match="data_bytes and data_address must be set together"):
        dataset.get_data_info(0)


def test_serialized_subset_of_a_list_raises() -> None:
    with pytest.raises(ValueError, match="records of Digits must be serialized"):
        Digits(serialize_data=False)._get_serialized_subset(2)


def test_copy_without_annotation_has_no_records() -> None:
    dataset = Digits()
    copied = dataset._copy_without_annotation()
    assert (len(copied), copied.metainfo) == (0, dataset.metainfo)
    assert len(dataset) == 5


class Scenes(BaseDataset):
    """It joins paths and reads meta information in its own way."""

    @classmethod
    def _load_metainfo(cls, metainfo: Any = None) -> dict[str, Any]:
        found = super()._load_metainfo(metainfo)
        return {**found, "palette": len(found["classes"])}

    def _join_prefix(self) -> None:
        if not is_abs(self.ann_file):
            self.ann_file = f"{self.data_root}/lists/{self.ann_file}.txt"
        self.data_prefix = {key: f"{self.data_root}|{one}" for key, one in self.data_prefix.items()}

    def load_data_list(self) -> list[Record]:
        lines = Path(self.ann_file).read_text().splitlines()
        return [{"path": f"{self.data_prefix['img_path']}/{line}"} for line in lines]


def test_overridden_paths_and_metainfo_are_used(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "train.txt").write_text("a\nb\n")
    dataset = Scenes(
        ann_file="train",
        data_root=tmp_path,
        data_prefix={"img_path": "images"},
        metainfo={"classes": ["cat", "dog"]},
    )
    assert dataset.get_data_info(1)["path"] == f"{tmp_path}|images/b"
    assert dataset.metainfo == {"classes": ["cat", "dog"], "palette": 2}


class Stored(Digits):
    """It sets the arguments of the storage before the constructor of the base, and replaces."""

    def __init__(self, backend_args: Any = None, **options: Any) -> None:
        self.backend_args = backend_args
        super().__init__(**options)

    def prepare_data(self, idx: int) -> Any:
        return None if idx == 2 else super().prepare_data(idx)

    def __getitem__(self, idx: int) -> Any:
        while (sample := self.prepare_data(idx)) is None:
            idx = self._rand_another()
        return sample


def test_arguments_that_a_subclass_has_set_are_kept() -> None:
    dataset = Stored(backend_args={"backend": "local"})
    assert dataset.backend_args == {"backend": "local"}
    assert dataset[2]["sample_idx"] != 2


def test_metainfo_is_read_from_the_lines_of_a_file(tmp_path: Path) -> None:
    names = tmp_path / "classes.txt"
    names.write_text("cat\ndog\n")
    dataset = Digits(metainfo={"classes": str(names), "task": "no-such-file.txt"})
    assert dataset.metainfo == {"classes": ["cat", "dog"], "task": "no-such-file.txt"}


def test_metainfo_may_be_a_config() -> None:
    config: Any = Config({"classes": ("cat",), "nested": {"a": [1]}})
    assert Digits(metainfo=config).metainfo == {"classes": ("cat",), "nested": {"a": [1]}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_prefix": "train/"}, r"data_prefix must be a dict .* dict\(img_path='train/'\)"),
        ({"ann_file": ["a.json"]}, "ann_file must be a path, got list: .*override `_join_prefix`"),
    ],
    ids=["prefix", "files"],
)
def test_other_paths_raise_and_name_the_way_out(arguments: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Digits(**arguments)


class Joined(ConcatDataset):
    """It accepts datasets of other classes, and lists the meta information of each."""

    def __init__(self, datasets: list[BaseDataset], lazy_init: bool = False) -> None:
        self.datasets = datasets
        self._metainfo = [one.metainfo for one in datasets]  # type: ignore[assignment]
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def get_dataset_source(self, idx: int) -> int:
        return self._get_ori_dataset_idx(idx)[0]


def test_wrapper_with_its_own_metainfo_keeps_it() -> None:
    joined: Any = Joined([Digits(), Digits(metainfo={"classes": ("other",)})], lazy_init=True)
    assert len(joined) == 10
    assert [one["classes"] for one in joined.metainfo] == [("even", "odd"), ("other",)]
    assert [joined.get_dataset_source(idx) for idx in (0, 5, -1)] == [0, 1, 1]
