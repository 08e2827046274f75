"""BaseDataset: reading, filtering, subsets, laziness, errors."""

import copy
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from engine_dataset import BaseDataset, SampleError
from engine_fileio import UntrustedDataError
from engine_registry import DATASETS

Annotations = Callable[..., Path]
Serialized = pytest.mark.parametrize("serialize_data", [True, False], ids=["stored", "listed"])


def test_dataset_reads_records_and_joins_paths(write_annotations: Annotations) -> None:
    root = write_annotations(2).parent.parent
    dataset = BaseDataset(
        "annotations/train.json", data_root=f"{root}/", data_prefix={"img_path": "train/"}
    )
    assert len(dataset) == 2
    expected = {"img_path": f"{root}/train/1.jpg", "label": 1, "sample_idx": 1}
    assert dataset.get_data_info(1) == expected
    assert dataset.data_prefix == {"img_path": f"{root}/train/"}


@pytest.mark.parametrize("ending", ["json", "yaml", "yml", "pkl", "pickle"])
def test_dataset_reads_every_documented_format(tmp_path: Path, ending: str) -> None:
    content = {"metainfo": {"task": "toy"}, "data_list": [{"label": 3}]}
    path = tmp_path / f"train.{ending}"
    # JSON is valid YAML.
    data = pickle.dumps(content) if "p" in ending else json.dumps(content).encode()
    path.write_bytes(data)
    dataset = BaseDataset(str(path))
    assert dataset.metainfo == {"task": "toy"}
    assert dataset[0]["label"] == 3


class Trap:
    """An object whose pickle is a call that creates a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_dataset_runs_no_code_of_a_pickle_unless_trusted(tmp_path: Path) -> None:
    path = tmp_path / "train.pkl"
    path.write_bytes(pickle.dumps({"metainfo": {}, "data_list": [Trap(tmp_path / "x")]}))
    with pytest.raises(UntrustedDataError, match="pass trusted=True"):
        BaseDataset(path)
    assert not (tmp_path / "x").exists()
    path.write_bytes(pickle.dumps({"metainfo": {}, "data_list": [{"box": np.arange(4)}]}))
    dataset = BaseDataset(path, trusted=True)
    assert dataset[0]["box"].tolist() == [0, 1, 2, 3]


def test_dataset_takes_paths_and_backend_arguments(write_annotations: Annotations) -> None:
    path = write_annotations(2)
    dataset = BaseDataset(path, data_root=None, backend_args={"backend": "local"})
    assert (len(dataset), dataset.ann_file) == (2, str(path))
    assert len(BaseDataset(path.name, data_root=path.parent)) == 2


def test_dataset_keeps_absolute_and_remote_paths(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    records = [{"img_path": "/elsewhere/0.jpg"}, {"img_path": "s3://bucket/1.jpg"}]
    path.write_text(json.dumps({"metainfo": {}, "data_list": records}))
    dataset = BaseDataset(str(path), data_root="/root", data_prefix={"img_path": "train"})
    read = [dataset.get_data_info(index) for index in range(2)]
    assert read == [{**record, "sample_idx": index} for index, record in enumerate(records)]


def test_dataset_joins_remote_roots() -> None:
    dataset = BaseDataset(
        "train.json", data_root="s3://bucket/set", data_prefix={"img_path": "x"}, lazy_init=True
    )
    assert dataset.ann_file == "s3://bucket/set/train.json"
    assert dataset.data_prefix == {"img_path": "s3://bucket/set/x"}


def test_dataset_prefers_metainfo_of_argument_then_class_then_file(
    write_annotations: Annotations,
) -> None:
    class Custom(BaseDataset):
        METAINFO: ClassVar = {"task_name": "class", "dataset_type": "class"}

    path = write_annotations(task_name="file", dataset_type="file", version=2)
    dataset = Custom(str(path), metainfo={"task_name": "argument"})
    assert dataset.metainfo == {"task_name": "argument", "dataset_type": "class", "version": 2}


def test_dataset_metainfo_is_a_copy(numbers: type[BaseDataset]) -> None:
    dataset = numbers()
    dataset.metainfo["classes"].append("neither")
    assert dataset.metainfo == {"classes": ["even", "odd"]}
    assert numbers.METAINFO == {"classes": ["even", "odd"]}


def test_dataset_leaves_arguments_as_they_are(numbers: type[BaseDataset]) -> None:
    arguments: dict[str, Any] = {
        "metainfo": {"a": [1]},
        "data_prefix": {"img_path": "x"},
        "filter_cfg": {"min": 1},
        "pipeline": [dict],
    }
    before = copy.deepcopy(arguments)
    numbers(data_root="/data", **arguments)
    assert arguments == before


def test_dataset_parses_one_record_into_several_samples(write_annotations: Annotations) -> None:
    class Frames(BaseDataset):
        def parse_data_info(self, raw_data_info: dict[str, Any]) -> list[dict[str, Any]]:
            return [{**raw_data_info, "frame": frame} for frame in range(2)]

    dataset = Frames(str(write_annotations(2)))
    assert [sample["frame"] for sample in dataset] == [0, 1, 0, 1]


def test_dataset_is_built_from_a_config(write_annotations: Annotations) -> None:
    dataset = DATASETS.build({"type": "BaseDataset", "ann_file": str(write_annotations(3))})
    assert isinstance(dataset, BaseDataset)
    assert len(dataset) == 3


def test_dataset_calls_load_data_list_with_attributes_set_before_init() -> None:
    class Wrapped(BaseDataset):
        def __init__(self, source: list[int]) -> None:
            self.source = source
            super().__init__(data_root="x", pipeline=[], test_mode=False)

        def load_data_list(self) -> list[dict[str, Any]]:
            return [{"inputs": torch.full((2,), one)} for one in self.source]

    dataset = Wrapped([1, 2])
    assert dataset[1].keys() == {"inputs", "sample_idx"}
    assert torch.equal(dataset[1]["inputs"], torch.tensor([2, 2]))


def test_dataset_filters_then_takes_indices(numbers: type[BaseDataset]) -> None:
    class Filtered(numbers):  # type: ignore[valid-type, misc] # a fixture's class
        def filter_data(self) -> list[dict[str, Any]]:
            least = self.filter_cfg["least"]
            return [record for record in self.data_list if record["value"] >= least]

    dataset = Filtered(filter_cfg={"least": 4}, indices=2)
    assert [sample["value"] for sample in dataset] == [4, 5]


def test_dataset_runs_the_pipeline_on_a_fresh_record(numbers: type[BaseDataset]) -> None:
    def spoil(record: dict[str, Any]) -> dict[str, Any]:
        record["value"] += 100
        return record

    for serialize_data in (True, False):
        dataset = numbers(pipeline=[spoil], serialize_data=serialize_data)
        assert [dataset[0]["value"], dataset[0]["value"]] == [100, 100]


@Serialized
@pytest.mark.parametrize(
    ("indices", "values"),
    [
        (3, [0, 1, 2]),
        (-3, [7, 8, 9]),
        (0, []),
        ([5, 1, 5], [5, 1, 5]),
        ((-1,), [9]),
        (np.array([2, 3]), [2, 3]),
        (99, list(range(10))),
    ],
    ids=["first", "last", "none", "positions", "negative", "array", "beyond"],
)
def test_subset_takes_the_indices(
    numbers: type[BaseDataset], indices: Any, values: list[int], serialize_data: bool
) -> None:
    dataset = numbers(serialize_data=serialize_data)
    subset = dataset.get_subset(indices)
    assert [sample["value"] for sample in subset] == values
    assert len(dataset) == 10
    dataset.get_subset_(indices)
    assert [sample["value"] for sample in dataset] == values
    chosen = numbers(serialize_data=serialize_data, indices=indices)
    assert [sample["value"] for sample in chosen] == values


@Serialized
def test_subset_is_independent(numbers: type[BaseDataset], serialize_data: bool) -> None:
    dataset = numbers(serialize_data=serialize_data)
    subset = dataset.get_subset([3])
    subset.pipeline.transforms.append(lambda record: None)
    subset.get_data_info(0)["value"] = 0
    assert dataset[3] == {"value": 3, "label": 1, "sample_idx": 3}
    assert type(subset) is type(dataset)


@pytest.mark.parametrize("indices", ["3", 1.5, {1}], ids=["text", "float", "set"])
def test_subset_raises_for_invalid_indices(numbers: type[BaseDataset], indices: Any) -> None:
    with pytest.raises(TypeError, match="integer or a sequence of integers"):
        numbers().get_subset(indices)


@Serialized
def test_dataset_has_the_bounds_of_a_list(numbers: type[BaseDataset], serialize_data: bool) -> None:
    dataset = numbers(serialize_data=serialize_data)
    assert dataset[-1]["value"] == 9
    assert dataset.get_data_info(-10)["value"] == 0
    for index in (10, -11):
        with pytest.raises(IndexError, match=str(index)):
            dataset[index]
        with pytest.raises(IndexError):
            dataset.get_data_info(index)


def test_lazy_dataset_has_only_its_metainfo(tmp_path: Path) -> None:
    dataset = BaseDataset(str(tmp_path / "none.json"), metainfo={"classes": 2}, lazy_init=True)
    assert dataset.metainfo == {"classes": 2}
    assert "not loaded" in repr(dataset)


@pytest.mark.parametrize(
    "use",
    [
        len,
        lambda dataset: dataset.get_data_info(0),
        lambda dataset: dataset.get_subset(1),
        lambda dataset: dataset.get_subset_(1),
    ],
    ids=["len", "get_data_info", "get_subset", "get_subset_"],
)
def test_lazy_dataset_loads_once_at_first_use(
    numbers: type[BaseDataset], use: Callable[[BaseDataset], Any]
) -> None:
    loads: list[int] = []

    class Counted(numbers):  # type: ignore[valid-type, misc] # a fixture's class
        def load_data_list(self) -> list[dict[str, Any]]:
            loads.append(1)
            found: list[dict[str, Any]] = super().load_data_list()
            return found

    dataset = Counted(lazy_init=True)
    use(dataset)
    use(dataset)
    dataset.full_init()
    assert loads == [1]


def test_lazy_dataset_warns_when_samples_are_read_first(numbers: type[BaseDataset]) -> None:
    dataset = numbers(lazy_init=True)
    with pytest.warns(UserWarning, match="Please call `full_init` method"):
        assert dataset[1]["value"] == 1


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("[1]", TypeError, "must contain a dict"),
        ('{"metainfo": {}}', ValueError, "data_list"),
        ('{"data_list": []}', ValueError, "metainfo"),
        ('{"metainfo": [], "data_list": []}', TypeError, "got list and list"),
        ('{"metainfo": {}, "data_list": {}}', TypeError, "got dict and dict"),
    ],
    ids=["list", "no-data", "no-metainfo", "metainfo", "data"],
)
def test_invalid_annotation_file_raises_and_names_the_file(
    tmp_path: Path, content: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / "train.json"
    path.write_text(content)
    with pytest.raises(error, match=message) as caught:
        BaseDataset(str(path))
    assert str(path) in str(caught.value)


def test_dataset_raises_for_records_that_are_not_dicts(write_annotations: Annotations) -> None:
    class Wrong(BaseDataset):
        def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
            return "sample"

    with pytest.raises(TypeError, match=r"parse_data_info.*'sample'"):
        Wrong(str(write_annotations()))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "must be given, got none"),
        ({"metainfo": ["a"]}, TypeError, "metainfo must be a dict"),
        ({"data_prefix": {"img_path": 3}}, TypeError, r"data_prefix\['img_path'\]"),
        ({"pipeline": ["Resize"]}, TypeError, "Resize"),
    ],
    ids=["nothing", "metainfo", "data_prefix", "pipeline"],
)
def test_dataset_raises_for_invalid_arguments(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        BaseDataset(**arguments)


def test_dataset_without_categories_raises_and_names_the_method_to_override() -> None:
    with pytest.raises(NotImplementedError, match="get_cat_ids"):
        BaseDataset(lazy_init=True).get_cat_ids(0)


def test_bad_sample_names_index_file_and_cause(write_annotations: Annotations) -> None:
    def read(record: dict[str, Any]) -> Any:
        raise OSError("truncated")

    path = write_annotations(3)
    dataset = BaseDataset(str(path), data_prefix={"img_path": "/data"}, pipeline=[read])
    with pytest.raises(SampleError, match="OSError: truncated") as caught:
        dataset[2]
    assert (caught.value.index, caught.value.path) == (2, "/data/2.jpg")
    assert "sample 2 (/data/2.jpg in " in str(caught.value)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_index_error_inside_a_pipeline_does_not_end_the_dataset(
    numbers: type[BaseDataset],
) -> None:
    dataset = numbers(pipeline=[lambda record: [][record["value"]]])
    with pytest.raises(SampleError, match="sample 0"):
        list(dataset)


def test_rejected_sample_is_replaced_in_training_the_same_each_time(
    numbers: type[BaseDataset],
) -> None:
    def only_large(record: dict[str, Any]) -> dict[str, Any] | None:
        return record if record["value"] > 7 else None

    dataset = numbers(pipeline=[only_large])
    values = [sample["value"] for sample in dataset]
    assert set(values) <= {8, 9}
    assert values == [sample["value"] for sample in dataset]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"test_mode": True}, "sample 4 .* in test mode"),
        ({"max_refetch": 3}, "sample 4 .* 3 others"),
    ],
    ids=["test", "train"],
)
def test_sample_without_a_replacement_raises(
    numbers: type[BaseDataset], arguments: dict[str, Any], message: str
) -> None:
    dataset = numbers(pipeline=[lambda record: None], **arguments)
    with pytest.raises(SampleError, match=message):
        dataset[4]


def test_dataset_survives_pickling_and_copying(numbers: type[BaseDataset]) -> None:
    dataset = numbers()
    for twin in (pickle.loads(pickle.dumps(dataset)), copy.deepcopy(dataset)):
        assert list(twin) == list(dataset)
