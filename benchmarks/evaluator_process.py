"""Measure the cost of an evaluator over its metric: per batch, and to collect results.

The baseline is the same metric without an evaluator, measured alternately: processor time of the
best round.

    python benchmarks/evaluator_process.py [--batches 2000] [--rounds 7]
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

from engine_evaluator import BaseMetric, Evaluator


class Accuracy(BaseMetric):
    """Keep one boolean per sample."""

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Compare prediction and truth."""
        self.results.extend(sample["pred"] == sample["label"] for sample in data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Return the mean."""
        return {"accuracy": sum(results) / len(results)}


def by_hand(batches: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Run the metric without an evaluator."""
    metric = Accuracy()
    for batch in batches:
        metric.process(None, batch)
    return metric.compute_metrics(metric.results)


def evaluated(batches: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Run an evaluator that receives each sample's index."""
    evaluator = Evaluator(Accuracy())
    for number, batch in enumerate(batches):
        start = number * len(batch)
        evaluator.process(batch, indices=range(start, start + len(batch)))
    return evaluator.evaluate(sum(map(len, batches)))


def main() -> None:
    """Measure, and print the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    batches = [
        [{"pred": number % 3, "label": number % 2} for number in range(32)]
        for _ in range(arguments.batches)
    ]
    best = {by_hand: float("inf"), evaluated: float("inf")}
    for _ in range(arguments.rounds):
        for run in best:
            began = time.process_time()
            run(batches)
            taken = (time.process_time() - began) / arguments.batches * 1e6
            best[run] = min(best[run], taken)
    hand, ours = best[by_hand], best[evaluated]
    print(
        f"a batch of 32: by hand {hand:.2f} us, evaluator {ours:.2f} us, {ours - hand:+.2f} us, "
        f"{ours / hand:.2f} times"
    )


if __name__ == "__main__":
    main()
