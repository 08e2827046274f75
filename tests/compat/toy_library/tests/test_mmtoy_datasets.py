import os.path as osp
import tempfile
from unittest import TestCase

import numpy as np
from mmengine.dataset import ConcatDataset
from mmengine.registry import init_default_scope
from mmtoy.registry import DATASETS, TRANSFORMS

init_default_scope("mmtoy")


class TestShapesDataset(TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.root = tmp.name
        with open(osp.join(self.root, "ann.txt"), "w") as file:
            file.write("a.npy 0\nb.npy 2\nc.npy 2\n")
        self.cfg = dict(
            type="ShapesDataset",
            data_root=self.root,
            ann_file="ann.txt",
            data_prefix=dict(img_path="some"),
        )

    def test_load_data_list(self):
        dataset = DATASETS.build(self.cfg)
        self.assertEqual(dataset.class_counts, [1, 0, 2])
        info = dataset.get_data_info(-1)
        self.assertEqual(info["img_path"], osp.join(self.root, "images", "some", "c.npy"))
        self.assertEqual((info["gt_label"], info["sample_idx"]), (2, 2))
        self.assertEqual(dataset.get_cat_ids(0), [0])
        self.assertIsInstance(dataset.data_bytes, np.ndarray)

    def test_arguments(self):
        dataset = DATASETS.build(dict(**self.cfg, indices=2, serialize_data=False))
        self.assertEqual(len(dataset), 2)
        dataset = DATASETS.build(dict(**self.cfg, filter_cfg=dict(exclude_classes=["diagonal"])))
        self.assertEqual(len(dataset), 1)
        dataset = DATASETS.build(
            dict(**self.cfg, lazy_init=True, metainfo=dict(classes=("x",) * 3))
        )
        self.assertEqual(dataset.metainfo["classes"], ("x",) * 3)
        self.assertFalse(dataset._fully_initialized)
        dataset = DATASETS.build(dict(**self.cfg, backend_args=dict(backend="local")))
        self.assertEqual(dataset.backend_args, dict(backend="local"))

    def test_concat(self):
        dataset = ConcatDataset([self.cfg, dict(**self.cfg, indices=1)])
        self.assertEqual(len(dataset), 4)
        self.assertEqual(dataset._get_ori_dataset_idx(3), (1, 0))
        self.assertEqual(dataset.get_data_info(3)["gt_label"], 0)

    def test_transforms(self):
        pipeline = [dict(type="LoadToyImage"), dict(type="ToyRandomFlip", prob=1.0)]
        results = dict(img=np.arange(6, dtype=np.uint8).reshape(2, 3), gt_label=1)
        for cfg in pipeline:
            results = TRANSFORMS.build(cfg)(results)
        self.assertEqual(results["img"][0, :, 0].tolist(), [2, 1, 0])
        packed = TRANSFORMS.build(dict(type="PackToyInputs"))(results)
        self.assertEqual(packed["inputs"].shape, (1, 2, 3))
        self.assertEqual(packed["data_samples"].gt_label.label.item(), 1)
        self.assertTrue(packed["data_samples"].flip)
