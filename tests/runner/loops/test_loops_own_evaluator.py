"""Evaluators and metrics as libraries write them, in a validation."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.runner.conftest import Line, MeanError

from engine_dist import broadcast_object_list, collect_results, is_main_process
from engine_evaluator import BaseMetric, Evaluator, to_cpu
from engine_registry import EVALUATOR
from engine_runner import Runner

MakeRunner = Callable[..., Runner]

LOADER = {
    "dataset": Line(7),
    "sampler": {"type": "DefaultSampler", "shuffle": False},
    "collate_fn": {"type": "default_collate"},
    "batch_size": 3,
}


@EVALUATOR.register_module(force=True)
class ManualEvaluator(Evaluator):
    """Its `process` has the parameters of the manual alone."""

    def process(self, data_samples: Any, data_batch: Any = None) -> None:  # type: ignore[override]
        self.batches = getattr(self, "batches", 0) + 1
        super().process(data_samples, data_batch)


class ByHand(BaseMetric):
    """It collects the results itself."""

    default_prefix = "own"

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(len(data_batch))

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"n": len(results)}

    def evaluate(self, size: int) -> dict[str, Any]:  # type: ignore[override]
        results = collect_results(self.results, size, self.collect_device)
        metrics: list[Any] = [None]
        if is_main_process():
            metrics = [{f"{self.prefix}/n": len(to_cpu(results))}]
        broadcast_object_list(metrics)
        self.results.clear()
        return metrics[0]  # type: ignore[no-any-return]


def test_evaluator_with_the_parameters_of_the_manual_is_called(make_runner: MakeRunner) -> None:
    config = {"type": "ManualEvaluator", "metrics": [{"type": MeanError}]}
    runner = make_runner(val_dataloader=LOADER, val_evaluator=config)
    assert "error" in runner.val()
    assert runner.val_evaluator.batches == 3


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_metric_that_collects_by_hand_is_used_twice(make_runner: MakeRunner, device: str) -> None:
    config = {"type": ByHand, "collect_device": device}
    runner = make_runner(val_dataloader=LOADER, val_evaluator=config)
    assert runner.val() == runner.val() == {"own/n": 3}
