"""Comparisons for tests.

`assert_allclose` and `check_python_script` raise. The others return a bool, as documented: write
``assert assert_keys_equal(...)``.
"""

import runpy
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engine_utils.dl_utils import is_norm


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str | None = "",
) -> None:
    """Raise unless two tensors, arrays, numbers, or containers of them are nearly equal.

    Args:
        actual: The result.
        expected: The expected result, which may have another dtype or device.
        rtol: The relative tolerance; by default that of `torch.testing.assert_close`.
        atol: The absolute tolerance, given together with ``rtol``.
        equal_nan: Whether NaN equals NaN.
        msg: A text that follows the description of the difference.

    Raises:
        AssertionError: They differ.

    Example:
        >>> assert_allclose(torch.tensor([1.0]), [1.0])
        >>> assert_allclose(1.0, 2.0, msg="the loss of step 3")
        Traceback (most recent call last):
        AssertionError: Scalars are not close!
        ...
        the loss of step 3
    """
    if isinstance(actual, torch.Tensor) and not isinstance(expected, torch.Tensor):
        expected = torch.as_tensor(expected)
    torch.testing.assert_close(
        actual,
        expected,
        rtol=rtol,
        atol=atol,
        equal_nan=equal_nan,
        check_dtype=False,
        check_device=False,
        msg=(lambda difference: f"{difference}\n{msg}") if msg else None,
    )


def assert_dict_contains_subset(
    dict_obj: Mapping[Any, Any], expected_subset: Mapping[Any, Any]
) -> bool:
    """Return whether a mapping has every key of another, with an equal value.

    Args:
        dict_obj: The mapping.
        expected_subset: The expected items; arrays and tensors are equal if all elements are.

    Example:
        >>> assert_dict_contains_subset({"a": 1, "b": [2, 3]}, {"b": [2, 3]})
        True
    """
    return all(
        key in dict_obj and _equal(dict_obj[key], value) for key, value in expected_subset.items()
    )


def assert_attrs_equal(obj: Any, expected_attrs: Mapping[str, Any]) -> bool:
    """Return whether an object has attributes of these names and values.

    Args:
        obj: The object.
        expected_attrs: The values by name.

    Example:
        >>> assert_attrs_equal(nn.Linear(2, 1), {"in_features": 2, "out_features": 1})
        True
    """
    return all(
        hasattr(obj, name) and _equal(getattr(obj, name), value)
        for name, value in expected_attrs.items()
    )


def assert_dict_has_keys(obj: Mapping[str, Any], expected_keys: Iterable[str]) -> bool:
    """Return whether a mapping has all of these keys.

    Args:
        obj: The mapping, which may have others.
        expected_keys: The keys.

    Example:
        >>> assert_dict_has_keys({"loss": 0.1, "acc": 0.9}, ["loss"])
        True
    """
    return set(expected_keys) <= set(obj)


def assert_keys_equal(result_keys: Iterable[str], target_keys: Iterable[str]) -> bool:
    """Return whether two collections have the same keys, in any order.

    Args:
        result_keys: The keys.
        target_keys: The expected keys.

    Example:
        >>> assert_keys_equal(["a", "b"], ["b", "a"])
        True
    """
    return set(result_keys) == set(target_keys)


def assert_is_norm_layer(module: nn.Module) -> bool:
    """Return whether a module is a normalization layer.

    Args:
        module: The module.

    Example:
        >>> assert_is_norm_layer(nn.GroupNorm(1, 4)), assert_is_norm_layer(nn.Linear(4, 4))
        (True, False)
    """
    return is_norm(module)


def assert_params_all_zeros(module: nn.Module) -> bool:
    """Return whether the weight and the bias of a module are zero.

    Args:
        module: A module with ``weight``, and with ``bias`` or without.

    Raises:
        TypeError: The module has no weight.

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.zeros_(layer.weight)
        >>> assert_params_all_zeros(layer)
        True
    """
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    if not isinstance(weight, torch.Tensor):
        raise TypeError(f"module must have a weight, got {type(module).__name__} without one")
    return not weight.any() and (bias is None or not bias.any())


def check_python_script(cmd: str) -> None:
    """Run a Python script in this process, where coverage tools see it.

    Args:
        cmd: The command line: ``script.py arguments``, or ``python script.py arguments``.

    Raises:
        ValueError: The command names no script.
        SystemExit: The script called `sys.exit` with a code other than 0.
    """
    words = shlex.split(cmd)
    if words and Path(words[0]).stem.startswith("python"):
        words = words[1:]
    if not words or words[0].startswith("-"):
        raise ValueError(f"cmd must name a script, as in 'python script.py --flag', got {cmd!r}")
    arguments, path = sys.argv, list(sys.path)
    sys.argv = words
    sys.path.insert(0, str(Path(words[0]).parent.absolute()))  # as the interpreter does
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as error:
        if error.code not in (None, 0):
            raise
    finally:
        sys.argv, sys.path[:] = arguments, path


def _equal(first: Any, second: Any) -> bool:
    """Return whether two values are equal, with tensors and arrays in them."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return first.shape == second.shape and bool((first == second).all())
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return bool(np.array_equal(first, second))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and assert_dict_contains_subset(first, second)
    if isinstance(first, list | tuple) and type(first) is type(second):
        return len(first) == len(second) and all(map(_equal, first, second))
    return bool(first == second)
