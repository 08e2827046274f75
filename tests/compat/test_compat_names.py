"""Each documented name of `mmengine` is the object of Engine, on each path to it."""

import importlib
import types

import pytest
from tests.compat.interfaces import DOCUMENTED, IMPORTED

import mmengine
from mmengine._names import MODULES
from mmengine._table import public_names, sources, submodules

# Where Engine has the names of a documented module, if not in the package of that name.
PLACES = {
    "_strategy": "engine_runner.strategies",
    "analysis": "engine_model.analysis",
    "device": "engine_dist.device",
    "hooks": "engine_runner.hooks",
    "hub": "engine_runner.hub",
    "infer": "engine_runner.infer",
    "testing": "engine_runner.testing",
    "utils.dl_utils": "engine_utils.dl_utils",
}
# Documented names that no package of Engine has a use for.
ONLY_HERE = {"mmcv_full_available"}


def value_of(path: str) -> object:
    """Return what `from module import name` gives, for ``module:name``."""
    module, _, name = path.partition(":")
    found: dict[str, object] = {}
    exec(f"from {module} import {name} as value", found)
    return found["value"]


@pytest.mark.parametrize("module", DOCUMENTED)
def test_documented_names_are_those_of_the_packages(module: str) -> None:
    ours = importlib.import_module(PLACES.get(module, f"engine_{module}"))

    for name in set(DOCUMENTED[module].split()) - ONLY_HERE:
        assert value_of(f"mmengine.{module}:{name}") is getattr(ours, name), name


@pytest.mark.parametrize("module", IMPORTED)
def test_names_that_libraries_import_exist(module: str) -> None:
    for name in IMPORTED[module].split():
        assert value_of(f"mmengine.{module}:{name}") is not None, name


@pytest.mark.parametrize("module", MODULES)
def test_every_row_of_the_table_has_its_names(module: str) -> None:
    forwarder = importlib.import_module(module)

    for name, origin in sources(module).items():
        source, _, original = origin.partition(":")
        value = getattr(importlib.import_module(source), original)
        assert getattr(forwarder, name) is value, name


def test_a_name_is_one_object_in_all_modules() -> None:
    known: dict[str, set[int]] = {}
    for module in MODULES:
        for name in sources(module):
            known.setdefault(name, set()).add(id(value_of(f"{module}:{name}")))

    assert {name for name, values in known.items() if len(values) > 1} == set()


@pytest.mark.parametrize(
    "module", ["config", "fileio", "logging", "registry", "utils"], ids=lambda module: module
)
def test_root_has_the_names_of_five_modules(module: str) -> None:
    for name in public_names(f"mmengine.{module}"):
        assert getattr(mmengine, name) is value_of(f"mmengine.{module}:{name}")


def test_parents_of_all_modules_are_in_the_table() -> None:
    parents = {module.rpartition(".")[0] for module in MODULES if module != "mmengine"}

    assert parents <= set(MODULES)


def test_version_is_that_of_the_documented_interfaces() -> None:
    from mmengine.version import __version__, parse_version_info, version_info

    assert mmengine.__version__ == __version__ == "0.10.7"
    assert mmengine.version_info == version_info == (0, 10, 7)
    assert parse_version_info(__version__) == version_info
    assert mmengine.digit_version(__version__) > mmengine.digit_version("0.7.0")
    assert mmengine.utils.digit_version("0.10.7") < mmengine.utils.digit_version("1.0.0rc1")


def test_star_import_brings_the_public_names() -> None:
    namespace: dict[str, object] = {}

    exec("from mmengine.model.weight_init import *", namespace)

    assert set(namespace) - {"__builtins__"} == set(public_names("mmengine.model.weight_init"))
    assert "_load_checkpoint" not in importlib.import_module("mmengine.runner.checkpoint").__all__


def test_a_function_keeps_its_name_beside_a_module_of_that_name() -> None:
    import mmengine.utils.dl_utils.collect_env
    from mmengine.utils.dl_utils import collect_env
    from mmengine.utils.dl_utils.collect_env import collect_env as of_the_module

    assert isinstance(collect_env, types.FunctionType)
    assert mmengine.utils.dl_utils.collect_env is collect_env is of_the_module


def test_dir_has_names_and_modules() -> None:
    assert {"Runner", "checkpoint", "__name__"} <= set(dir(mmengine.runner))
    assert set(submodules("mmengine")) <= set(dir(mmengine))
