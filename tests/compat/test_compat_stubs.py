"""The stubs of engine-compat are current, and a type checker reads our types from them."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, assert_type

import mmengine.utils
from mmengine._finder import stub_of
from mmengine._names import MODULES
from mmengine._table import public_names, sources, submodules
from mmengine.config import Config

if TYPE_CHECKING:
    from mmengine.hooks.ema_hook import EMAHook
    from mmengine.runner import (
        Runner,
    )

ROOT = Path(__file__).parents[2]


def test_stubs_are_current() -> None:
    command = [sys.executable, str(ROOT / "scripts/compat_stubs.py"), "--check"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr


def test_stub_has_the_names_of_its_module() -> None:
    for module in MODULES:
        tree = ast.parse(Path(stub_of(module)).read_text())
        imported = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        (stated,) = (node.value for node in tree.body if isinstance(node, ast.Assign))
        assert imported == {*sources(module), *submodules(module)}, module
        assert set(ast.literal_eval(stated)) == set(sources(module)), module
        assert set(public_names(module)) <= imported, module


# The checker of the gate reads what follows; its types are ours, and not `Any`.


def epoch_of(runner: "Runner", hook: "EMAHook") -> int:
    assert_type(hook.every_n_epochs(runner, 2), bool)
    return assert_type(runner.epoch, int)


def test_types_are_those_of_the_packages() -> None:
    config = assert_type(Config({"a": 1}), Config)
    levels = assert_type(mmengine.utils.digit_version("1.0"), tuple[int, ...])

    assert config.a == levels[0] == 1
    assert assert_type(mmengine.__version__, str) == "0.10.7"
    assert not hasattr(mmengine.runner, "Runer")
