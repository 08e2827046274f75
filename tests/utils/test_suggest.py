"""Closest names."""

import pytest

from engine_utils import closest_name, closest_names, did_you_mean


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        ("max_epoch", ["max_epochs", "lr"], "max_epochs"),
        ("max_epoch", ["lr", 3, None, "max_epochs"], "max_epochs"),
        ("sgd", ["Adam", "SGD"], "SGD"),
        ("model", ["lr"], None),
        ("model", [], None),
        (3, ["model"], None),
    ],
    ids=["close", "mixed-types", "case", "different", "nothing", "not-a-string"],
)
def test_closest_name(name: object, names: list[object], expected: str | None) -> None:
    assert closest_name(name, names) == expected


def test_closest_names_are_the_most_similar_first_and_unique() -> None:
    names = ["train_cfg", "train_cfg2", "train_cfg", "val_cfg", "train_CFG"]
    assert closest_names("train_cf", names, count=3) == ["train_cfg", "train_CFG", "train_cfg2"]
    assert closest_names("train_cf", names, count=1) == ["train_cfg"]


def test_closest_names_takes_an_iterator_and_a_mapping() -> None:
    assert closest_names("lrr", iter(["lr"])) == ["lr"]
    assert closest_names("lrr", {"lr": 0.1}) == ["lr"]


def test_closest_names_likeness_is_the_minimum_similarity() -> None:
    assert closest_name("adam", ["adamax"], likeness=0.9) is None
    assert closest_name("adam", ["adamax"], likeness=0.7) == "adamax"


def test_did_you_mean_is_empty_without_a_close_name() -> None:
    assert did_you_mean("lrr", ["lr", "momentum"]) == "; did you mean 'lr'?"
    assert did_you_mean("model", ["lr"]) == ""
