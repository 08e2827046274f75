"""The modules of `mmengine` behave like modules that are files."""

import copy
import importlib
import importlib.resources
import importlib.util
import inspect
import pickle
import pkgutil
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import engine_config
import engine_fileio
import mmengine
from mmengine._finder import Finder
from mmengine._names import MODULES


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that has imported nothing."""
    command = [sys.executable, *options, *(["-c", code] if code else [])]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


MODULES_OF = "import sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"


@pytest.mark.parametrize(
    ("code", "packages"),
    [
        ("import mmengine", set()),
        ("import mmengine.model, mmengine.optim.optimizer, mmengine.utils.dl_utils", set()),
        ("from mmengine import runner; runner.checkpoint; dir(runner); runner.__all__", set()),
        ("from mmengine.fileio import load", {"engine_fileio", "engine_utils"}),
        ("import mmengine; hasattr(mmengine, 'nothing')", {"engine_utils"}),
    ],
    ids=["the package", "modules", "attributes", "one name", "no name"],
)
def test_import_loads_nothing_that_is_not_used(code: str, packages: set[str]) -> None:
    done = run(f"{code}\n{MODULES_OF}", "-W", "error")

    loaded = set(done.stdout.split())
    assert done.returncode == 0, done.stderr
    assert {name for name in loaded if name.startswith("engine_")} == packages
    assert loaded & {"torch", "numpy", "rich", "yaml", "addict", "asyncio"} == set()


def test_modules_are_attributes_after_the_import_of_the_package() -> None:
    code = "import mmengine; print(mmengine.fileio.io.load.__module__)"

    assert run(code).stdout.startswith("engine_fileio")


def test_module_can_have_another_name() -> None:
    import mmengine.fileio.io as io

    assert io is sys.modules["mmengine.fileio.io"]
    assert io.load is engine_fileio.load


def test_find_spec_finds_the_modules_of_the_table_only() -> None:
    spec = importlib.util.find_spec("mmengine.runner.checkpoint")

    assert spec is not None
    assert spec.origin is not None
    assert spec.origin.endswith("mmengine/runner/checkpoint.pyi")
    assert importlib.util.find_spec("mmengine.runner.nothing") is None
    assert importlib.util.find_spec("mmengine._names") is not None


def test_walk_packages_lists_the_table() -> None:
    found = {one.name: one.ispkg for one in pkgutil.walk_packages(mmengine.__path__, "mmengine.")}

    assert set(found) == set(MODULES) - {"mmengine"}
    assert found["mmengine.runner"]
    assert not found["mmengine.runner.checkpoint"]


def test_resources_of_a_module_are_its_stubs() -> None:
    folder = importlib.resources.files("mmengine.fileio")

    assert (folder / "io.pyi").is_file()
    assert (importlib.resources.files("mmengine") / "py.typed").is_file()
    assert inspect.getsource(mmengine.fileio).startswith('"""Written by')


def test_reload_looks_names_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    module = mmengine.fileio.parse
    monkeypatch.setattr(module, "list_from_file", None)
    monkeypatch.setattr(mmengine, "load", None)

    assert importlib.reload(module) is module
    assert importlib.reload(mmengine) is mmengine
    assert module.list_from_file is engine_fileio.list_from_file
    assert mmengine.load is engine_fileio.load
    assert sum(isinstance(finder, Finder) for finder in sys.meta_path) == 1
    importlib.reload(mmengine.version)  # its tuple is that of before
    assert mmengine.version.version_info is mmengine.version_info


def test_import_of_a_removed_module_makes_it_again() -> None:
    before = sys.modules.pop("mmengine.fileio.parse")
    again = importlib.import_module("mmengine.fileio.parse")

    assert again is not before
    assert mmengine.fileio.parse is again
    assert again.dict_from_file is before.dict_from_file


def test_classes_are_pickled_and_copied_through_either_name() -> None:
    by_its_path = b"cmmengine.config.config\nConfigDict\n."

    assert pickle.loads(by_its_path) is engine_config.ConfigDict
    assert pickle.loads(pickle.dumps(mmengine.config.ConfigDict)) is engine_config.ConfigDict
    assert copy.deepcopy(mmengine.Config) is engine_config.Config
    assert pickle.loads(pickle.dumps(mmengine.config)) is mmengine.config
    assert copy.deepcopy([mmengine.config])[0] is mmengine.config


def test_patch_of_a_name_acts_on_the_module_and_is_undone() -> None:
    with mock.patch("mmengine.fileio.io.isfile", return_value=True) as patched:
        from mmengine.fileio.io import isfile

        assert isfile is patched
        assert mmengine.fileio.io.isfile("no such file")
        assert engine_fileio.isfile is not patched
    assert mmengine.fileio.io.isfile is engine_fileio.isfile


def test_monkeypatch_of_a_name_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("mmengine.fileio.io.isdir", bool)
        patch.setattr(mmengine.utils.path, "limit", 3, raising=False)
        patch.delattr("mmengine.fileio.io.exists")
        assert vars(mmengine.fileio.io)["isdir"] is bool
        assert vars(mmengine.utils.path)["limit"] == 3
        assert mmengine.fileio.io.exists is engine_fileio.exists  # looked up again
    assert mmengine.fileio.io.isdir is engine_fileio.isdir
    assert not hasattr(mmengine.utils.path, "limit")


def test_attributes_can_be_written() -> None:
    module: Any = importlib.import_module("mmengine.utils.path")
    module.extra = 1

    assert vars(mmengine.utils.path)["extra"] == 1
    del module.extra
    with pytest.raises(AttributeError, match="has no attribute 'extra'"):
        module.extra  # noqa: B018  # the attribute is the test


@pytest.mark.parametrize("name", ["__wrapped__", "__path__", "__test__", "__tf__", "__bases__"])
def test_attributes_that_tools_look_for_are_missing(name: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(mmengine.runner.checkpoint, name)

    assert str(caught.value) == f"module 'mmengine.runner.checkpoint' has no attribute {name!r}"


def test_modules_look_like_modules() -> None:
    module = mmengine.fileio

    assert inspect.ismodule(module)
    assert isinstance(module, types.ModuleType)
    assert module.__spec__ is not None
    assert module.__spec__.name == module.__name__ == module.__package__ == "mmengine.fileio"
    assert mmengine.fileio.io.__package__ == "mmengine.fileio"
    assert Path(mmengine.__file__).name == "__init__.py"
    assert Path(mmengine.__path__[0]) == Path(module.__path__[0]).parent
    assert inspect.getmodule(mmengine.fileio.load).__name__.startswith("engine_fileio")  # type: ignore[union-attr]  # it has one
    assert "mmengine/fileio/__init__.pyi" in repr(module)


def test_a_module_runs_as_a_program_that_does_nothing() -> None:
    leaf = run("", "-W", "error", "-m", "mmengine.utils.dl_utils.collect_env")
    package = run("", "-m", "mmengine")

    assert (leaf.returncode, leaf.stdout, leaf.stderr) == (0, "", "")
    assert "'mmengine' is a package and cannot be directly executed" in package.stderr


IN_THREADS = """
import threading
names = ["mmengine.fileio.io", "mmengine.fileio", "mmengine.utils.path", "mmengine.config"] * 8
barrier, found = threading.Barrier(len(names)), []
def use(name):
    barrier.wait()
    module = __import__(name, fromlist=["x"])
    found.append({one: getattr(module, one) for one in module.__all__})
threads = [threading.Thread(target=use, args=[name]) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
import mmengine
assert len(found) == len(names)
assert all(value is getattr(mmengine, name) for one in found for name, value in one.items())
"""


def test_threads_import_at_the_same_time() -> None:
    done = run(IN_THREADS)

    assert (done.returncode, done.stderr) == (0, "")


def test_file_of_a_module_makes_it_before_the_finder_is_in_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]
    folder = mmengine.fileio.__path__[0]
    by_finder: Any = mmengine.fileio.parse
    monkeypatch.setattr(sys, "meta_path", others)
    monkeypatch.delitem(sys.path_importer_cache, folder)
    monkeypatch.delitem(sys.modules, "mmengine.fileio.parse")
    monkeypatch.setattr(mmengine.fileio, "parse", None)

    made: Any = importlib.import_module("mmengine.fileio.parse")

    assert made is not by_finder
    assert type(made) is type(by_finder)
    assert made.list_from_file is engine_fileio.list_from_file
    assert made.__file__ == by_finder.__file__
    assert made.__spec__.origin == by_finder.__spec__.origin


def test_lookups_in_threads_give_one_object() -> None:
    module, found, barrier = mmengine.fileio.handlers, [], threading.Barrier(8)
    vars(module).pop("JsonHandler", None)

    def look() -> None:
        barrier.wait()
        found.append(module.JsonHandler)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(found) == {engine_fileio.JsonHandler}
