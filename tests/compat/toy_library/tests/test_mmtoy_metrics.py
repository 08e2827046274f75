from unittest import TestCase

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmtoy.registry import METRICS
from mmtoy.structures import ToyDataSample
from mmtoy.utils import register_all_modules

register_all_modules()


class TestToyAccuracy(TestCase):
    def setUp(self):
        scores = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])
        labels = [0, 1, 1, 2]
        self.pred = [
            ToyDataSample().set_pred_score(torch.tensor(score)).set_gt_label(label)
            for score, label in zip(scores, labels)
        ]

    def test_evaluate(self):
        metric = METRICS.build(dict(type="ToyAccuracy"))
        metric.process(None, [sample.to_dict() for sample in self.pred])
        self.assertAlmostEqual(metric.evaluate(4)["accuracy/top1"], 75.0)

    def test_classwise_in_evaluator(self):
        evaluator = Evaluator(METRICS.build(dict(type="ToyAccuracy", classwise=True, prefix="val")))
        evaluator.dataset_meta = dict(classes=("a", "b", "c"))
        evaluator.process(data_samples=self.pred)
        metrics = evaluator.evaluate(4)
        self.assertEqual(
            metrics,
            {"val/top1": 75.0, "val/a_top1": 100.0, "val/b_top1": 50.0, "val/c_top1": 100.0},
        )

    def test_offline_evaluate(self):
        evaluator = Evaluator(dict(type="ToyAccuracy"))
        self.assertEqual(evaluator.offline_evaluate(self.pred)["accuracy/top1"], 75.0)
