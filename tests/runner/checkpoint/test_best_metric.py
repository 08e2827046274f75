import math

import pytest

from engine_runner._errors import SettingsError
from engine_runner.checkpoint import best_metrics
from engine_runner.hooks import CheckpointHook


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("accuracy", "greater"),
        ("top-1", "greater"),
        ("coco/bbox_mAP", "greater"),
        ("val_loss", "less"),
        ("mean_error", "less"),
    ],
)
def test_rule_is_inferred_from_the_name(name: str, rule: str) -> None:
    [best] = best_metrics(name, None, None, None)

    assert best.rule == rule


def test_rule_that_no_name_tells_is_asked_for() -> None:
    with pytest.raises(ValueError, match="set rule='greater' or rule='less'"):
        best_metrics("wobble", None, None, None)


def test_keys_of_the_user_decide_the_rule() -> None:
    [best] = best_metrics("wobble", None, ["wobble"], None)

    assert best.rule == "greater"


def test_several_metrics_have_a_rule_each() -> None:
    fid, inception = best_metrics(["FID", "IS"], ["less", "greater"], None, None)

    assert (fid.rule, inception.rule) == ("less", "greater")


def test_rules_and_metrics_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="give one rule per metric"):
        best_metrics(["FID", "IS"], ["less"], None, None)


def test_auto_takes_the_first_metric_of_the_validation() -> None:
    [best] = best_metrics("auto", None, None, None)

    assert best.name({"error": 0.5, "accuracy": 0.5}) == "error"
    assert best.rule == "less"


def test_metric_is_found_without_its_prefix() -> None:
    [best] = best_metrics("bbox_mAP", None, None, None)

    assert best.name({"coco/bbox_mAP": 0.5}) == "coco/bbox_mAP"


def test_metric_that_is_not_reported_is_an_error() -> None:
    [best] = best_metrics("accuracy", None, None, None)

    with pytest.raises(SettingsError, match="'error'"):
        best.name({"error": 0.1})


def test_nan_is_never_the_best() -> None:
    [best] = best_metrics("accuracy", None, None, None)

    assert not best.improves(math.nan)


@pytest.mark.parametrize("template", ["epoch.pth", "{}_{}.pth"])
def test_checkpoint_name_needs_one_placeholder(template: str) -> None:
    with pytest.raises(ValueError, match="filename_tmpl"):
        CheckpointHook(filename_tmpl=template)
