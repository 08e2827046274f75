"""Items, meta information and paths of `BaseDataset` as the field uses them."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine_config import Config
from engine_dataset import BaseDataset, ConcatDataset


class Names(BaseDataset):
    """Three records."""

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"name": name} for name in "abc"]


@pytest.mark.parametrize("serialize", [True, False], ids=["stored", "listed"])
@pytest.mark.parametrize(("index", "expected"), [(0, 0), (2, 2), (-1, 2), (-3, 0)])
def test_items_have_the_index_of_their_sample(serialize: bool, index: int, expected: int) -> None:
    dataset = Names(serialize_data=serialize)

    assert dataset[index]["sample_idx"] == expected
    assert dataset.get_data_info(index)["sample_idx"] == expected


def test_items_of_a_subset_and_of_a_concatenation_have_the_index_in_their_dataset() -> None:
    dataset = Names()

    assert dataset.get_subset([2, 0])[0] == {"name": "c", "sample_idx": 0}
    assert ConcatDataset([dataset, dataset])[4] == {"name": "b", "sample_idx": 1}


def test_meta_information_is_read_from_a_file_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("cat\ndog\n")

    dataset = Names(metainfo={"classes": str(path), "task": "no_such_file.txt"})

    assert dataset.metainfo == {"classes": ["cat", "dog"], "task": "no_such_file.txt"}


def test_meta_information_may_be_a_config() -> None:
    config = Config({"classes": ["cat", "dog"], "palette": {"cat": [1, 2, 3]}})

    assert Names(metainfo=config).metainfo == config.to_dict()  # type: ignore[arg-type] # as users do


def test_paths_may_start_at_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    content = {"metainfo": {}, "data_list": [{"img_path": "0.png"}]}
    (tmp_path / "train.json").write_text(json.dumps(content))

    below = BaseDataset("train.json", data_root="~", data_prefix={"img_path": "images"})
    apart = BaseDataset("~/train.json", data_root="/other", data_prefix={"img_path": "~/images"})

    for dataset in (below, apart):
        assert dataset.ann_file == f"{tmp_path}/train.json"
        assert dataset[0]["img_path"] == f"{tmp_path}/images/0.png"
