"""Help for tests of code that uses Engine: assertions, and a test case with a toy run."""

from engine_runner.testing._asserts import (
    assert_allclose,
    assert_attrs_equal,
    assert_dict_contains_subset,
    assert_dict_has_keys,
    assert_is_norm_layer,
    assert_keys_equal,
    assert_params_all_zeros,
    check_python_script,
)
from engine_runner.testing._runner_test_case import RunnerTestCase
from engine_runner.testing._toy import ToyDataset, ToyMetric, ToyModel

__all__ = [
    "RunnerTestCase",
    "ToyDataset",
    "ToyMetric",
    "ToyModel",
    "assert_allclose",
    "assert_attrs_equal",
    "assert_dict_contains_subset",
    "assert_dict_has_keys",
    "assert_is_norm_layer",
    "assert_keys_equal",
    "assert_params_all_zeros",
    "check_python_script",
]
