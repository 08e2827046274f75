"""Datasets that several tests use."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from engine_dataset import BaseDataset

Annotations = Callable[..., Path]


class Numbers(BaseDataset):
    """Ten records without a file."""

    METAINFO: ClassVar = {"classes": ["even", "odd"]}

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"value": value, "label": value % 2} for value in range(10)]

    def get_cat_ids(self, idx: int) -> list[int]:
        return [self.get_data_info(idx)["label"]]


@pytest.fixture
def numbers() -> type[Numbers]:
    return Numbers


@pytest.fixture
def write_annotations(tmp_path: Path) -> Annotations:
    """Write an annotation file of images and return its path."""

    def write(count: int = 3, **metainfo: Any) -> Path:
        records = [{"img_path": f"{number}.jpg", "label": number} for number in range(count)]
        path = tmp_path / "annotations" / "train.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"metainfo": metainfo, "data_list": records}))
        return path

    return write
