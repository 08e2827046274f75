"""The comparisons of engine_runner.testing."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine_runner.testing import (
    assert_allclose,
    assert_attrs_equal,
    assert_dict_contains_subset,
    assert_dict_has_keys,
    assert_is_norm_layer,
    assert_keys_equal,
    assert_params_all_zeros,
    check_python_script,
)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (torch.ones(2), torch.ones(2)),
        (torch.ones(2), [1, 1]),
        (torch.ones(2), np.ones(2)),
        (np.ones(2), np.ones(2) + 1e-9),
        ([1.0, torch.tensor(2)], [1.0, torch.tensor(2)]),
        (float("nan"), float("nan")),
    ],
    ids=["tensors", "list", "array", "arrays", "containers", "NaN"],
)
def test_allclose_accepts_nearly_equal_values(actual: Any, expected: Any) -> None:
    assert_allclose(actual, expected)


def test_allclose_raises_with_the_message() -> None:
    with pytest.raises(AssertionError, match=r"not close(.|\n)*step 3"):
        assert_allclose(torch.ones(2), torch.zeros(2), msg="step 3")
    with pytest.raises(AssertionError):
        assert_allclose(float("nan"), float("nan"), equal_nan=False)
    assert_allclose(1.0, 1.1, rtol=0.2, atol=0.0)


@pytest.mark.parametrize(
    ("subset", "contained"),
    [
        ({"a": 1}, True),
        ({}, True),
        ({"a": 1, "t": torch.arange(3), "n": np.arange(3), "d": {"x": [1]}}, True),
        ({"a": 2}, False),
        ({"b": 1}, False),
        ({"t": torch.zeros(3)}, False),
        ({"t": torch.arange(4)}, False),
        ({"d": {"x": [2]}}, False),
    ],
)
def test_dict_contains_subset(subset: dict[str, Any], contained: bool) -> None:
    whole = {"a": 1, "t": torch.arange(3), "n": np.arange(3), "d": {"x": [1]}}

    assert assert_dict_contains_subset(whole, subset) is contained


@pytest.mark.parametrize(
    ("attributes", "equal"),
    [
        ({"in_features": 2}, True),
        ({"in_features": 3}, False),
        ({"nothing": 2}, False),
    ],
)
def test_attrs_equal(attributes: dict[str, Any], equal: bool) -> None:
    assert assert_attrs_equal(nn.Linear(2, 1), attributes) is equal


def test_keys_are_compared() -> None:
    assert assert_dict_has_keys({"a": 1, "b": 2}, ["a"])
    assert not assert_dict_has_keys({"a": 1}, ["a", "b"])
    assert assert_keys_equal(["a", "b"], ["b", "a"])
    assert not assert_keys_equal(["a"], ["a", "b"])


@pytest.mark.parametrize(
    ("layer", "norm"),
    [
        (nn.BatchNorm2d(2), True),
        (nn.InstanceNorm1d(2), True),
        (nn.GroupNorm(1, 2), True),
        (nn.LayerNorm(2), True),
        (nn.Conv2d(1, 1, 1), False),
        (nn.Sequential(nn.BatchNorm2d(2)), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_norm_layers_are_recognized(layer: nn.Module, norm: bool) -> None:
    assert assert_is_norm_layer(layer) is norm


def test_zero_parameters_are_recognized() -> None:
    layer = nn.Linear(2, 1)
    nn.init.zeros_(layer.weight)
    nn.init.ones_(layer.bias)
    assert not assert_params_all_zeros(layer)

    nn.init.zeros_(layer.bias)
    assert assert_params_all_zeros(layer)
    with pytest.raises(TypeError, match="module must have a weight, got ReLU"):
        assert_params_all_zeros(nn.ReLU())


@pytest.mark.parametrize("start", ["", "python ", "python3.11 "])
def test_script_runs_in_this_process(tmp_path: Path, start: str) -> None:
    (tmp_path / "beside.py").write_text("NUMBER = 7\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import pathlib, sys\nfrom beside import NUMBER\n"
        "assert __name__ == '__main__'\n"
        "pathlib.Path(sys.argv[1]).write_text(f'{NUMBER} {sys.argv[2:]}')\nsys.exit(0)\n"
    )
    before = list(sys.argv), list(sys.path)

    check_python_script(f"{start}{script} {tmp_path / 'out.txt'} --flag 'two words'")

    assert (tmp_path / "out.txt").read_text() == "7 ['--flag', 'two words']"
    assert (sys.argv, sys.path) == before
    del sys.modules["beside"]


def test_script_that_fails_raises(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text("import sys\nsys.exit(3)\n")

    with pytest.raises(SystemExit, match="3"):
        check_python_script(str(tmp_path / "fails.py"))
    with pytest.raises(ValueError, match="cmd must name a script"):
        check_python_script("python -m pytest")
