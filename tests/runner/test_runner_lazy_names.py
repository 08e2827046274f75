"""Importing engine_runner imports no torch; its names are imported at their first use."""

import ast
import inspect
import pickle
import subprocess
import sys

import pytest

import engine_runner

FRESH = """
import sys
import engine_runner
from engine_registry import LOOPS, RUNNERS, STRATEGIES, LOG_PROCESSORS
assert "Runner" in dir(engine_runner)
assert not hasattr(engine_runner, "Runer")
assert "torch" not in sys.modules and "numpy" not in sys.modules
assert LOOPS.get("ValLoop").__name__ == "ValLoop"
assert RUNNERS.get("Runner") is engine_runner.Runner
assert STRATEGIES.get("DDPStrategy") is engine_runner.DDPStrategy
assert LOG_PROCESSORS.get("LogProcessor") is engine_runner.LogProcessor
assert engine_runner.hooks.Hook is engine_runner.Hook
from engine_runner import *
assert Runner is engine_runner.Runner
"""


def test_import_loads_no_torch_and_registries_find_the_parts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FRESH], capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr


def test_names_for_type_checkers_are_those_of_the_run_time() -> None:
    tree = ast.parse(inspect.getsource(engine_runner))
    typed = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert typed == engine_runner._HOMES
    assert {*typed, "__version__"} == set(engine_runner.__all__)


def test_unknown_name_raises_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'engine_runner' has no attribute 'Runer'"):
        engine_runner.Runer  # type: ignore[attr-defined]  # noqa: B018 - the mistake


def test_class_is_pickled_by_its_own_module() -> None:
    assert pickle.loads(pickle.dumps(engine_runner.Runner)) is engine_runner.Runner
