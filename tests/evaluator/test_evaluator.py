"""Evaluator: metrics, padding, offline evaluation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from engine_evaluator import BaseMetric, Evaluator
from engine_registry import EVALUATOR, METRICS
from engine_structures import BaseDataElement, LabelData

Make = Callable[..., BaseMetric]


class Fields(NamedTuple):
    """Predictions by name."""

    scores: torch.Tensor
    name: str


def _fed(make: Make, predictions: Any, batch: Any = None, **options: Any) -> list[Any]:
    evaluator = Evaluator(make())
    evaluator.process(data_samples=predictions, data_batch=batch, **options)
    (value,) = evaluator.evaluate().values()
    kept: list[Any] = value
    return kept


def test_evaluator_passes_predictions_unchanged(keep: Make) -> None:
    score, label = torch.zeros(2, 3), torch.zeros(2)
    ((batch, predictions),) = _fed(keep, (score, label), ["images", "labels"])
    assert batch == ["images", "labels"]
    assert isinstance(predictions, tuple)
    assert [one.shape for one in predictions] == [(2, 3), (2,)]


def test_evaluator_converts_data_elements_to_dicts(keep: Make) -> None:
    element = BaseDataElement(metainfo={"id": 4}, label=LabelData(item=torch.tensor(1)))
    ((_, predictions),) = _fed(keep, [element, {"id": 5}])
    assert predictions[1] == {"id": 5}
    assert predictions[0]["id"] == 4
    assert predictions[0]["label"] == {"item": 1}
    assert isinstance(element, BaseDataElement)


def test_evaluator_takes_a_metric_a_config_or_several(samples: Make) -> None:
    config = {"type": samples, "prefix": "b"}
    evaluator = Evaluator([samples(prefix="a"), config])
    evaluator.process([1])
    assert evaluator.evaluate(1) == {"a/kept": [1], "b/kept": [1]}
    assert list(config) == ["type", "prefix"]
    assert len(Evaluator({"type": samples}).metrics) == 1
    assert len(Evaluator(samples()).metrics) == 1


def test_evaluator_and_metrics_are_built_by_name() -> None:
    METRICS.register_module(name="EvaluatorTestMetric", module=_Named)
    try:
        config = {"type": "Evaluator", "metrics": {"type": "EvaluatorTestMetric"}}
        evaluator = EVALUATOR.build(config)
    finally:
        METRICS._module_dict.pop("EvaluatorTestMetric")
    assert isinstance(evaluator.metrics[0], _Named)


class _Named(BaseMetric):
    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(1)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"one": results[0]}


def test_evaluator_without_a_metric_raises() -> None:
    with pytest.raises(TypeError, match="must be a BaseMetric or a config"):
        Evaluator([len])  # type: ignore[list-item] # the mistake under test


def test_evaluator_raises_for_a_metric_given_by_name_alone() -> None:
    with pytest.raises(TypeError, match=r"such as \{'type': .* got str: 'Accuracy'"):
        Evaluator("Accuracy")  # type: ignore[arg-type]  # wrong on purpose


def test_failed_evaluation_drops_its_results(samples: Make) -> None:
    class Failing(BaseMetric):
        def process(self, data_batch: Any, data_samples: Any) -> None:
            self.results.extend(data_samples)

        def compute_metrics(self, results: list[Any]) -> Any:
            return None

    last = samples()
    evaluator = Evaluator([Failing(), last])
    evaluator.process([{"x": 1}], indices=[0])

    with pytest.raises(TypeError, match="`compute_metrics` of Failing must return a dict"):
        evaluator.evaluate(1)

    assert last.results == []


def test_evaluator_passes_meta_information_to_its_metrics(samples: Make) -> None:
    evaluator = Evaluator([samples(), samples()])
    assert evaluator.dataset_meta is None
    evaluator.dataset_meta = {"classes": 2}
    assert [metric.dataset_meta for metric in evaluator.metrics] == [{"classes": 2}] * 2
    assert evaluator.dataset_meta == {"classes": 2}


def test_values_of_the_same_name_raise(samples: Make) -> None:
    evaluator = Evaluator([samples(), samples()])
    evaluator.process([1])
    with pytest.raises(ValueError, match=r"'samples/kept'.*set a different prefix"):
        evaluator.evaluate(1)


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        ([1, 2, 3], [1, 2]),
        ((torch.arange(3), ["a", "b", "c"]), (torch.arange(2), ["a", "b"])),
        ({"score": torch.arange(3), "name": "x"}, {"score": torch.arange(2), "name": "x"}),
        (torch.arange(6).view(3, 2), torch.arange(4).view(2, 2)),
        (np.arange(3), np.arange(2)),
        ([torch.arange(3)], [torch.arange(2)]),
        (Fields(torch.arange(3), "abc"), Fields(torch.arange(2), "abc")),
        ([torch.zeros(3)] * 3, [torch.zeros(3)] * 2),
        ((1, 2, 3), (1, 2)),
    ],
    ids=["list", "tuple", "dict", "tensor", "array", "in-list", "named", "rows", "samples"],
)
def test_padding_is_dropped_from_predictions_of_any_shape(
    keep: Make, predictions: Any, expected: Any
) -> None:
    ((_, found),) = _fed(keep, predictions, indices=[4, 5, None])
    assert type(found) is type(expected)
    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ([torch.zeros(2, 5), torch.zeros(2)], [(1, 5), (1,)]),
        ([[torch.zeros(5), torch.zeros(5)], [0, 1]], [1, 1]),
        ([{"x": 1}, {"x": 2}], [{"x": 1}]),
        ({"inputs": [torch.zeros(3), torch.zeros(4)]}, {"inputs": 1}),
        (None, None),
    ],
    ids=["stacked", "grouped", "samples", "dict", "none"],
)
def test_padding_is_dropped_from_the_batch(keep: Make, batch: Any, expected: Any) -> None:
    ((found, _),) = _fed(keep, ["a", "b"], batch, indices=[1, None])
    if isinstance(expected, dict):
        assert {key: len(value) for key, value in found.items()} == expected
    elif isinstance(batch, list) and not isinstance(batch[0], dict):
        shapes = [tuple(one.shape) if isinstance(one, torch.Tensor) else len(one) for one in found]
        assert shapes == expected
    else:
        assert found == expected


def test_batch_of_padding_only_is_skipped(keep: Make) -> None:
    evaluator = Evaluator(keep())
    evaluator.process(["a"], indices=[0])
    evaluator.process(["b"], indices=[None])
    assert evaluator.evaluate(1) == {"kept": [(None, ["a"])]}


def test_padding_must_be_at_the_end(keep: Make) -> None:
    with pytest.raises(ValueError, match="padding must be at the end"):
        Evaluator(keep()).process(["a", "b"], indices=[None, 0])


def test_padding_in_predictions_without_entries_is_logged(
    keep: Make, caplog: pytest.LogCaptureFixture
) -> None:
    assert _fed(keep, {"loss": 0.5}, indices=[0, None]) == [(None, {"loss": 0.5})]
    assert "the last 1 of 2 samples are padding" in caplog.text


def test_results_come_in_the_order_of_the_dataset(samples: Make) -> None:
    evaluator = Evaluator(samples())
    evaluator.process(["c", "a"], indices=[2, 0])
    evaluator.process(["b"], indices=[1])
    assert evaluator.evaluate(3) == {"samples/kept": ["a", "b", "c"]}


def test_repeated_samples_count_once_when_there_are_too_many(samples: Make) -> None:
    for size, expected in ((2, ["a", "b"]), (3, ["a", "a", "b"])):
        evaluator = Evaluator(samples())
        evaluator.process(["a", "b", "a"], indices=[0, 1, 0])
        assert evaluator.evaluate(size) == {"samples/kept": expected}


def test_size_cuts_results_without_indices(samples: Make) -> None:
    evaluator = Evaluator(samples())
    evaluator.process(["a", "b", "a"])
    assert evaluator.evaluate(2) == {"samples/kept": ["a", "b"]}


def test_each_evaluation_starts_without_results(samples: Make) -> None:
    evaluator = Evaluator(samples())
    for value in ("a", "b"):
        evaluator.process([value], indices=[0])
        assert evaluator.evaluate(1) == {"samples/kept": [value]}


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 9])
def test_offline_evaluation_processes_all_predictions(keep: Make, chunk_size: int) -> None:
    data = list("abcde")
    values = Evaluator(keep()).offline_evaluate(list(range(5)), data, chunk_size=chunk_size)
    batches, predictions = zip(*values["kept"], strict=True)
    assert [one for batch in batches for one in batch] == data
    assert [one for chunk in predictions for one in chunk] == list(range(5))
    assert max(map(len, predictions)) == min(chunk_size, 5)


def test_offline_evaluation_takes_a_dataset(keep: Make) -> None:
    class Data(Dataset[str]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> str:
            return "abc"[index]

    data: Any = Data()
    values = Evaluator(keep()).offline_evaluate([1, 2, 3], data, chunk_size=2)
    assert values == {"kept": [(["a", "b"], [1, 2]), (["c"], [3])]}


def test_offline_evaluation_needs_no_data(samples: Make) -> None:
    elements = [BaseDataElement(metainfo={"id": number}) for number in range(3)]
    values = Evaluator(samples()).offline_evaluate(elements)
    assert values == {"samples/kept": [{"id": 0}, {"id": 1}, {"id": 2}]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1]), "one sample per prediction, got 1 and 2"),
        (([1], None, 0), "chunk_size must be"),
    ],
    ids=["lengths", "chunk"],
)
def test_offline_evaluation_raises_for_invalid_arguments(
    samples: Make, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Evaluator(samples()).offline_evaluate(*arguments)
