import os.path as osp
from typing import List, Optional

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path, list_from_file
from mmengine.utils import is_abs

from mmtoy.registry import DATASETS


@DATASETS.register_module()
class ShapesDataset(BaseDataset):
    """Pictures of strokes, listed in a text file: a name and a label a line.

    The pictures are in `data_root/images/`, below which `data_prefix` names the folder.

    Args:
        ann_file (str): The text file.
        backend_args (dict, optional): Arguments of the file backend.
    """

    METAINFO = {
        "classes": ("horizontal", "vertical", "diagonal"),
        "palette": [(220, 20, 60), (119, 11, 32), (0, 0, 142)],
    }

    def __init__(self, *args, backend_args: Optional[dict] = None, **kwargs) -> None:
        self.backend_args = backend_args
        super().__init__(*args, **kwargs)

    def _join_prefix(self):
        """Join `self.data_root` with the annotation file and with the folder of the pictures."""
        if self.ann_file and not is_abs(self.ann_file) and self.data_root:
            self.ann_file = join_path(self.data_root, self.ann_file)
        for key, prefix in self.data_prefix.items():
            if not is_abs(prefix):
                self.data_prefix[key] = join_path(self.data_root, "images", prefix)

    def full_init(self) -> None:
        """Load the records, and count those of each class."""
        if self._fully_initialized:
            return
        self.data_list = self.load_data_list()
        self.data_list = self.filter_data()
        if self._indices is not None:
            self.data_list = self._get_unserialized_subset(self._indices)
        self.class_counts = [0] * len(self.metainfo["classes"])
        for data_info in self.data_list:
            self.class_counts[data_info["gt_label"]] += 1
        if self.serialize_data:
            self.data_bytes, self.data_address = self._serialize_data()
        self._fully_initialized = True

    def load_data_list(self) -> List[dict]:
        """Load the annotations of the text file."""
        img_prefix = self.data_prefix["img_path"]
        data_list = []
        for line in list_from_file(self.ann_file, backend_args=self.backend_args):
            name, label = line.rsplit(" ", 1)
            data_list.append(dict(img_path=osp.join(img_prefix, name), gt_label=int(label)))
        return data_list

    def filter_data(self) -> List[dict]:
        """Leave out the classes of `filter_cfg`, but never in a test."""
        if self.test_mode or self.filter_cfg is None:
            return self.data_list
        excluded = self.filter_cfg.get("exclude_classes", ())
        return [
            data_info
            for data_info in self.data_list
            if self.metainfo["classes"][data_info["gt_label"]] not in excluded
        ]

    def get_cat_ids(self, idx: int) -> List[int]:
        """Get the category id of a picture, for `ClassBalancedDataset`."""
        return [int(self.get_data_info(idx)["gt_label"])]
