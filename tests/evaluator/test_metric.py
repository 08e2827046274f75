"""BaseMetric, DumpResults, get_metric_value."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_evaluator import BaseMetric, DumpResults, get_metric_value
from engine_fileio import load
from engine_registry import METRICS
from engine_structures import LabelData

Make = Callable[..., BaseMetric]


def test_metric_names_its_values_by_prefix(samples: Make) -> None:
    for prefix, name in ((None, "samples/kept"), ("mine", "mine/kept")):
        metric = samples(prefix=prefix)
        metric.process(None, [{"a": 1}])
        assert metric.evaluate(1) == {name: [{"a": 1}]}


def test_metric_without_prefix_has_plain_names(keep: Make) -> None:
    metric = keep()
    metric.process("batch", [{}])
    assert metric.evaluate(size=1) == {"kept": [("batch", [{}])]}


def test_results_are_dropped_after_evaluation(samples: Make) -> None:
    metric = samples()
    metric.process(None, [{}, {}])
    metric.evaluate(2)
    assert metric.results == []


def test_metric_without_results_warns_and_logs_to_the_file(
    samples: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING, "engine.evaluator"),
        pytest.warns(UserWarning, match="Samples got empty `self.results`") as warned,
    ):
        assert samples().evaluate(3) == {"samples/kept": []}
    assert Path(warned[0].filename).name == "test_metric.py"
    assert [record.file_only for record in caplog.records] == [True]  # type: ignore[attr-defined]


def test_metric_without_a_prefix_warns(keep: Make) -> None:
    with pytest.warns(UserWarning, match="The prefix is not set in metric class Keep"):
        assert keep().prefix is None


@pytest.mark.parametrize("make", [lambda kind: kind(prefix=""), lambda kind: kind(prefix="a")])
def test_metric_with_a_chosen_prefix_does_not_warn(keep: Make, make: Make) -> None:
    with warnings.catch_warnings(action="error"):
        make(keep)
        DumpResults("predictions.pkl")


def test_metric_moves_results_to_the_cpu_detached(samples: Make) -> None:
    metric = samples()
    grown = torch.ones(2, requires_grad=True) * 2
    metric.process(None, [{"a": [grown, (grown, 1)], "b": LabelData(item=grown), "c": "x"}])
    (result,) = metric.evaluate(1)["samples/kept"]
    assert not result["a"][0].requires_grad
    assert not result["a"][1][0].requires_grad
    assert not result["b"].item.requires_grad
    assert result["c"] == "x"


def test_collect_dir_without_the_cpu_raises(samples: Make) -> None:
    with pytest.raises(
        ValueError, match=r"collect_dir must be None .*'gpu', got 'x'; set collect_"
    ):
        samples(collect_device="gpu", collect_dir="x")


def test_collect_dir_is_not_made_by_a_single_process(samples: Make, tmp_path: Path) -> None:
    metric = samples(collect_dir=tmp_path / "shared")
    metric.process(None, [{"number": 1}])

    assert metric.evaluate(size=1)
    assert not (tmp_path / "shared").exists()


def test_unknown_collect_device_raises(samples: Make) -> None:
    with pytest.raises(ValueError, match="'cpu' or 'gpu', got 'tpu'"):
        samples(collect_device="tpu")


def test_metric_failure_is_raised_unchanged() -> None:
    class Failing(BaseMetric):
        def process(self, data_batch: Any, data_samples: Any) -> None:
            self.results.append(1)

        def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
            raise KeyError("label")

    metric = Failing()
    metric.process(None, [])
    with pytest.raises(KeyError, match="label"):
        metric.evaluate(1)


@pytest.mark.parametrize("ending", [".pkl", ".pickle"])
def test_dump_writes_predictions(tmp_path: Path, ending: str) -> None:
    metric = DumpResults(str(tmp_path / f"out{ending}"))
    metric.process(None, [{"score": torch.ones(2, requires_grad=True)}])
    metric.process(None, [{"score": torch.zeros(2)}])
    assert metric.evaluate(2) == {}
    found = load(tmp_path / f"out{ending}")
    assert [one["score"].tolist() for one in found] == [[1, 1], [0, 0]]
    assert not found[0]["score"].requires_grad


def test_dump_to_another_extension_raises() -> None:
    with pytest.raises(ValueError, match=r"must end with \.pkl or \.pickle, got 'out\.json'"):
        DumpResults("out.json")


def test_dump_is_built_by_name(tmp_path: Path) -> None:
    config = {"type": "DumpResults", "out_file_path": str(tmp_path / "out.pkl")}
    assert isinstance(METRICS.build(config), DumpResults)


@pytest.mark.parametrize(
    ("indicator", "value"), [("AP", 1), ("coco/AP", 1), ("voc/AR", 3), ("plain", 4)]
)
def test_metric_value_is_found_by_name(indicator: str, value: int) -> None:
    metrics = {"coco/AP": 1, "coco/AR": 2, "voc/AR": 3, "plain": 4}
    assert get_metric_value(indicator, metrics) == value


@pytest.mark.parametrize(
    ("indicator", "message"),
    [
        ("AR", r"'AR' is ambiguous; use one of the full names \['coco/AR', 'voc/AR'\]"),
        ("F1", "no metric 'F1'"),
        ("voc/AP", "no metric 'voc/AP'"),
    ],
)
def test_unknown_metric_value_raises(indicator: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get_metric_value(indicator, {"coco/AR": 2, "voc/AR": 3})
