"""Libraries as the field writes them: a module ``registry``, locations, `register_all_modules`."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine_registry import (
    DATASETS,
    HOOKS,
    MODELS,
    DefaultScope,
    LocationImportError,
    NotRegisteredError,
    Registry,
    resolve_type,
)
from engine_registry import _packages as packages

MakeLibrary = Callable[..., str]

REGISTRY = """
from engine_registry import DATASETS as ROOT_DATASETS
from engine_registry import MODELS as ROOT_MODELS
from engine_registry import Registry

MODELS = Registry('model', parent=ROOT_MODELS, scope={name!r}, locations=['{name}.models'])
DATASETS = Registry('dataset', parent=ROOT_DATASETS, locations=['{name}.datasets'])
"""
MODELS_TEXT = """
from {name}.registry import MODELS

@MODELS.register_module()
class Net:
    pass
"""
DATASETS_TEXT = """
from {name}.registry import DATASETS

@DATASETS.register_module()
class BaseDataset:
    pass
"""
REGISTER_ALL = """
import datetime
import warnings

from engine_registry import DefaultScope

def register_all_modules(init_default_scope: bool = True) -> None:
    import {name}.datasets  # noqa: F401
    import {name}.models  # noqa: F401

    if init_default_scope:
        never_created = (
            DefaultScope.get_current_instance() is None
            or not DefaultScope.check_instance_created({name!r})
        )
        if never_created:
            DefaultScope.get_instance({name!r}, scope_name={name!r})
            return
        current_scope = DefaultScope.get_current_instance()
        if current_scope.scope_name != {name!r}:
            warnings.warn('The current default scope is another one')
            new_instance_name = '{name}-' + str(datetime.datetime.now())
            DefaultScope.get_instance(new_instance_name, scope_name={name!r})
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeLibrary]:
    """Install a library that is not imported; further modules by name."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def make(name: str, **changed: str) -> str:
        texts = {
            "__init__": "",
            "registry": REGISTRY,
            "models": MODELS_TEXT,
            "datasets": DATASETS_TEXT,
            "utils": REGISTER_ALL,
            **changed,
        }
        folder = tmp_path / name
        folder.mkdir()
        for module, text in texts.items():
            filled = text.replace("{name}", name).replace("{name!r}", repr(name))
            (folder / f"{module}.py").write_text(filled)
        made.append(name)
        return name

    yield make
    for name in made:
        for module in [key for key in sys.modules if key.partition(".")[0] == name]:
            del sys.modules[module]
        packages._done.discard(name)
        packages._failed.pop(name, None)


def _current() -> str:
    current = DefaultScope.get_current_instance()
    return current.scope_name if current else ""


@pytest.mark.parametrize("scope", ["engine", "mmengine"])
def test_folder_named_as_the_own_scope_is_never_imported(library: MakeLibrary, scope: str) -> None:
    library("engine", __init__="raise RuntimeError('not a part of Engine')\n")
    private = Registry("thing", scope="scoped_private")
    private.register_module("Net", module=dict)
    with DefaultScope.overwrite_default_scope(scope):
        assert private.build({"type": "Net"}) == {}
        with pytest.raises(NotRegisteredError):
            HOOKS.build({"type": "NoSuchHookAtAll"})
    assert "engine" not in sys.modules


def test_default_scope_prefers_the_library_also_for_a_name_that_the_root_has(
    library: MakeLibrary,
) -> None:
    name = library("scoped_one")
    DATASETS.register_module("BaseDataset", force=True, module=dict)
    with DefaultScope.overwrite_default_scope(name):
        built = DATASETS.build({"type": "BaseDataset"})
        assert type(MODELS.build({"type": "Net"})).__module__ == "scoped_one.models"
    assert type(built).__module__ == "scoped_one.datasets"


@pytest.mark.parametrize("key", ["{}.Net", "{}::Net"])
def test_prefix_imports_the_registry_module_and_the_locations(
    library: MakeLibrary, key: str
) -> None:
    name = library("scoped_two")
    found = MODELS.get(key.format(name))
    assert found is not None
    assert found.__module__ == "scoped_two.models"
    assert resolve_type(key.format(name)) is found


def test_switch_scope_and_registry_imports_the_library(library: MakeLibrary) -> None:
    name = library("scoped_three")
    with MODELS.switch_scope_and_registry(name) as registry:
        assert registry.scope == name
        assert registry.build({"type": "Net"})


def test_scope_is_inferred_in_a_library_and_listed_by_its_name(library: MakeLibrary) -> None:
    name = library("scoped_four")
    assert DATASETS.get(f"{name}.BaseDataset") is not None
    assert DATASETS.children[name].scope == name


def test_class_of_the_package_does_not_hide_the_registered_one(library: MakeLibrary) -> None:
    name = library("scoped_five", __init__="class Net:\n    pass\n")
    for _ in range(2):
        found = MODELS.get(f"{name}.Net")
        assert found is not None
        assert found.__module__ == "scoped_five.models"


def test_register_all_modules_of_a_library_sets_its_scope(library: MakeLibrary) -> None:
    library("scoped_six")
    utils = __import__("scoped_six.utils", fromlist=["register_all_modules"])
    DefaultScope.get_instance("scoped_before", scope_name="engine")
    utils.register_all_modules(init_default_scope=False)
    assert _current() == "engine"
    utils.register_all_modules(init_default_scope=True)
    assert _current() == "scoped_six"
    assert MODELS.build({"type": "Net"})
    DefaultScope.get_instance("scoped_after", scope_name="engine")
    with pytest.warns(UserWarning, match="another one"):
        utils.register_all_modules(init_default_scope=True)
    assert _current() == "scoped_six"


def test_scope_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        DefaultScope.overwrite_default_scope("mmseg"),
        pytest.raises(NotRegisteredError) as raised,
    ):
        MODELS.build({"type": "NoSuchNet"})
    assert 'no package "mmseg" is installed' in str(raised.value)
    assert "mmseg (pip install mmsegmentation)" in str(raised.value)


def test_scope_whose_library_is_installed_later_is_found(library: MakeLibrary) -> None:
    with DefaultScope.overwrite_default_scope("scoped_seven"):
        for _ in range(2):
            with pytest.raises(NotRegisteredError, match=r"not installed: .*scoped_seven"):
                MODELS.build({"type": "Net"})
        library("scoped_seven")
        sys.path_importer_cache.clear()
        assert MODELS.build({"type": "Net"})


def test_library_that_fails_to_import_is_named(library: MakeLibrary) -> None:
    name = library("scoped_eight", registry="raise RuntimeError('no GPU here')\n")
    HOOKS.register_module("ScopedHook", module=dict)
    message = r"scoped_eight\.registry cannot be imported.*no GPU here"
    with DefaultScope.overwrite_default_scope(name):
        with pytest.warns(UserWarning, match=message):
            assert HOOKS.build({"type": "ScopedHook"}) == {}
        with (
            pytest.warns(UserWarning, match=message),
            pytest.raises(LocationImportError, match=r"failed to import: scoped_eight\.registry"),
        ):
            MODELS.build({"type": "Net"})


def test_suggestions_include_scopes_that_locations_add(library: MakeLibrary) -> None:
    library("scoped_nine", models=MODELS_TEXT.replace("Net", "SegmentingNetwork"))
    name = library("scoped_ten", models="import scoped_nine.registry\n" + MODELS_TEXT)
    assert name not in MODELS.children
    with pytest.raises(NotRegisteredError, match=r"did you mean 'scoped_ten\.Net'\?"):
        MODELS.build({"type": f"{name}.Nett"})
    with pytest.raises(NotRegisteredError, match=r"did you mean 'scoped_nine\.Segmenting"):
        MODELS.build({"type": "SegmentingNetwork_"})


def test_suggestion_while_a_location_adds_a_scope(library: MakeLibrary) -> None:
    library("scoped_eleven")
    root = Registry("model", scope="scoped_root", locations=["scoped_eleven.registry"])
    child = Registry("model", parent=root, scope="scoped_adder", locations=["scoped_adder_parts"])
    parts = "from engine_registry import Registry\nimport scoped_adder_home\n"
    home = type(sys)("scoped_adder_home")
    home.ROOT = root  # type: ignore[attr-defined]  # a module without a file
    sys.modules["scoped_adder_home"] = home
    made = "Registry('model', None, scoped_adder_home.ROOT, 'scoped_new')\n"
    library("scoped_adder_parts", __init__=parts + made)
    with pytest.raises(NotRegisteredError, match="'Nothing' is not in"):
        child.build({"type": "Nothing"})
    assert set(root.children) == {"scoped_adder", "scoped_new"}
    del sys.modules["scoped_adder_home"]
