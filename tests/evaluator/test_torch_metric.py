"""TorchMetric: torchmetrics' metrics by name."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torchmetrics

from engine_evaluator import Evaluator, TorchMetric
from engine_registry import METRICS
from engine_structures import BaseDataElement, LabelData

CLASSES: dict[str, Any] = {"task": "multiclass", "num_classes": 3}


def _batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    for size in (4, 4, 3):
        scores = torch.rand(size, 3, generator=generator).softmax(dim=1)
        yield scores, torch.randint(0, 3, (size,), generator=generator)


@pytest.mark.parametrize("name", ["Accuracy", "F1Score", "AUROC", "ConfusionMatrix", "CohenKappa"])
def test_metric_by_name_gives_the_value_of_torchmetrics(name: str) -> None:
    ours, theirs = TorchMetric(name, **CLASSES), getattr(torchmetrics, name)(**CLASSES)
    for _ in range(2):  # the second evaluation starts without results
        for batch in _batches():
            ours.process(None, batch)
            theirs.update(*batch)
        found = ours.evaluate()[name]
        torch.testing.assert_close(torch.as_tensor(found), theirs.compute(), check_dtype=False)
        theirs.reset()


def test_discarded_results_do_not_count() -> None:
    discarding, fresh = TorchMetric("Accuracy", **CLASSES), TorchMetric("Accuracy", **CLASSES)
    first, second, _ = _batches()

    discarding.process(None, first)
    discarding.discard_results()
    discarding.process(None, second)
    fresh.process(None, second)

    assert discarding.evaluate() == fresh.evaluate()


@pytest.mark.parametrize("ranks", [1, 2, 4], ids=lambda ranks: f"{ranks}-ranks")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Accuracy", CLASSES),
        ("AUROC", CLASSES),
        ("MeanSquaredError", {}),
        ("SpearmanCorrCoef", {}),
        ("PearsonCorrCoef", {}),
        ("MaxMetric", {}),
        ("CatMetric", {}),
    ],
)
@pytest.mark.filterwarnings("ignore:Metric .* will save all:UserWarning")
def test_states_of_all_ranks_are_merged_to_one_value(
    name: str, arguments: dict[str, Any], ranks: int
) -> None:
    batches = [_arguments_for(name, *batch) for batch in _batches()]
    whole = TorchMetric(name, **arguments)
    parts = [TorchMetric(name, **arguments) for _ in range(ranks)]
    for number, batch in enumerate(batches):  # three batches: the last of four ranks has none
        whole.process(None, batch)
        parts[number % ranks].process(None, batch)
    merged = parts[0].compute_metrics([part._contribution() for part in parts])
    found, expected = (torch.as_tensor(one[name]) for one in (merged, whole.evaluate()))
    torch.testing.assert_close(found.sort().values, expected.sort().values)


def _arguments_for(name: str, scores: torch.Tensor, labels: torch.Tensor) -> tuple[Any, ...]:
    if name in ("Accuracy", "AUROC"):
        return scores, labels
    first, second, _ = scores.unbind(dim=1)
    return (first,) if name in ("MaxMetric", "CatMetric") else (first, second)


def test_metric_takes_fields_of_data_elements() -> None:
    metric = TorchMetric("Accuracy", keys=("pred.score", "gt.item"), prefix="top1", **CLASSES)
    evaluator = Evaluator(metric)
    for scores, labels in _batches():
        evaluator.process(
            [
                BaseDataElement(pred=LabelData(score=score), gt=LabelData(item=int(label)))
                for score, label in zip(scores, labels, strict=True)
            ]
        )
    expected = torchmetrics.Accuracy(**CLASSES)
    for batch in _batches():
        expected.update(*batch)
    assert evaluator.evaluate(11) == {"top1/Accuracy": pytest.approx(float(expected.compute()))}


def test_metric_takes_texts_and_numbers_of_samples() -> None:
    words = TorchMetric("text.WordErrorRate", keys=("said", "meant"))
    words.process(None, [{"said": "a b", "meant": "a c"}, {"said": "d", "meant": "d"}])
    assert words.evaluate() == {"WordErrorRate": pytest.approx(1 / 3)}
    squares = TorchMetric("MeanSquaredError", keys=("x", "y"))
    squares.process(None, [{"x": 1.0, "y": 3.0}, {"x": 0.0, "y": 0.0}])
    assert squares.evaluate() == {"MeanSquaredError": 2.0}


def test_metric_takes_named_arguments() -> None:
    metric = TorchMetric("MeanMetric")
    metric.process(None, {"value": torch.tensor([1.0, 3.0]), "weight": torch.tensor([1.0, 0.0])})
    assert metric.evaluate() == {"MeanMetric": 1.0}


def test_collection_names_its_values() -> None:
    collection = torchmetrics.MetricCollection(
        {
            "mse": torchmetrics.MeanSquaredError(),
            "mae": torchmetrics.MeanAbsoluteError(),
            "precision": torchmetrics.Precision(task="binary"),
            "recall": torchmetrics.Recall(task="binary"),  # shares its state with precision
        }
    )
    metric = TorchMetric(collection, prefix="all")
    for _ in range(2):
        for _ in range(2):
            metric.process(None, (torch.tensor([1.0, 0.0]), torch.tensor([1, 1])))
        assert metric.evaluate() == {
            "all/mse": 0.5,
            "all/mae": 0.5,
            "all/precision": 1.0,
            "all/recall": 0.5,
        }


def test_padding_does_not_reach_the_metric() -> None:
    evaluator = Evaluator(TorchMetric("MeanMetric"))
    evaluator.process((torch.tensor([1.0, 3.0, 99.0]),), indices=[0, 1, None])
    assert evaluator.evaluate(2) == {"MeanMetric": 2.0}


def test_metric_is_built_by_name() -> None:
    metric = METRICS.build({"type": "TorchMetric", "metric": "Accuracy", **CLASSES})
    assert isinstance(metric, TorchMetric)


@pytest.mark.parametrize("name", ["Acuracy", "text.Acuracy"])
def test_unknown_metric_raises_and_names_it(name: str) -> None:
    with pytest.raises(ValueError, match=f"no metric '{name}'"):
        TorchMetric(name)


def test_missing_library_raises_and_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(ImportError, match=r'"engine-evaluator\[torchmetrics\]"'):
        TorchMetric("Accuracy")
