"""Metrics for the tests."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from engine_evaluator import BaseMetric


class Keep(BaseMetric):
    """Keep predictions and batches unchanged; the value is all of them."""

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        self.results.append((data_batch, data_samples))

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"kept": results}


class Samples(BaseMetric):
    """Keep one result per sample."""

    default_prefix = "samples"

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        self.results.extend(data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"kept": results}


@pytest.fixture
def keep() -> Callable[..., Keep]:
    return Keep


@pytest.fixture
def samples() -> Callable[..., Samples]:
    return Samples
