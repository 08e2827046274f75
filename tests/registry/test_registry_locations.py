"""Modules that are imported when a name is not found."""

import importlib.metadata
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine_registry import (
    MODELS,
    DefaultScope,
    LocationImportError,
    NotRegisteredError,
    Registry,
)
from engine_registry import _plugins as plugins

MakePackage = Callable[[str, str], None]

DEFINE = """
from test_registry_locations_home import REGISTRY

@REGISTRY.register_module(force=True)
class Located:
    pass
"""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry that modules written by a test can import."""
    made = Registry("located", scope="located", locations=["located_parts"])
    home = type(sys)("test_registry_locations_home")
    home.REGISTRY = made  # type: ignore[attr-defined]  # a module without a file
    monkeypatch.setitem(sys.modules, home.__name__, home)
    return made


def test_location_is_imported_at_the_first_failed_look_up_only(
    registry: Registry, make_package: MakePackage
) -> None:
    make_package("located_parts", DEFINE)
    registry.register_module("Known", module=dict)
    assert registry.get("Known") is dict
    assert "located_parts" not in sys.modules
    assert registry.build({"type": "Located"}).__class__.__name__ == "Located"
    assert "located_parts" in sys.modules


def test_location_of_a_child_is_imported_before_the_parent_is_searched(
    root: Registry, registry: Registry, make_package: MakePackage
) -> None:
    make_package("located_parts", DEFINE)
    root.register_module("Located", module=dict)
    registry.parent = root
    found = registry.get("Located")
    assert found is not dict


def test_location_that_is_not_installed_is_tried_again(
    registry: Registry, make_package: MakePackage
) -> None:
    assert registry.get("Located") is None
    with pytest.raises(NotRegisteredError, match="not installed: located_parts"):
        registry.build({"type": "Located"})
    make_package("located_parts", DEFINE)
    importlib.invalidate_caches()
    assert registry.get("Located") is not None


def test_location_that_fails_raises_only_if_the_name_is_not_found(
    registry: Registry, make_package: MakePackage
) -> None:
    make_package("located_parts", DEFINE + "import no_such_package_here\n")
    assert registry.get("Located") is not None
    for _ in range(2):  # the module does not run again, so it cannot fail in another way
        with pytest.raises(LocationImportError) as raised:
            registry.get("Other")
        assert 'the "located" registry of scope "located"' in str(raised.value)
        assert "failed to import: located_parts" in str(raised.value)
        assert isinstance(raised.value.__cause__, ModuleNotFoundError)
        assert isinstance(raised.value, ImportError | KeyError)


def test_not_found_names_the_imported_modules(
    registry: Registry, make_package: MakePackage
) -> None:
    make_package("located_parts", DEFINE)
    with pytest.raises(NotRegisteredError, match="imported for this look-up: located_parts"):
        registry.build({"type": "Loc"})


def test_import_from_location_skips_missing_modules(
    registry: Registry, make_package: MakePackage
) -> None:
    registry.import_from_location()
    assert len(registry) == 0
    make_package("located_parts", DEFINE)
    importlib.invalidate_caches()
    registry.import_from_location()
    assert list(registry.module_dict) == ["Located"]


def test_look_up_by_several_threads_finds_the_name_in_each(
    registry: Registry, make_package: MakePackage
) -> None:
    make_package("located_parts", "import time; time.sleep(0.2)\n" + DEFINE)
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(registry.get("Located"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8
    assert None not in found


@pytest.fixture
def library(root: Registry, make_package: MakePackage, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The root of a tree that a library, installed but not imported, adds a scope to."""
    home = type(sys)("test_registry_locations_home")
    home.ROOT = root  # type: ignore[attr-defined]  # a module without a file
    monkeypatch.setitem(sys.modules, home.__name__, home)
    make_package(
        "library_of_parts",
        "from engine_registry import Registry\n"
        "from test_registry_locations_home import ROOT\n"
        "MODELS = Registry('model', parent=ROOT, scope='library_of_parts')\n"
        "MODELS.register_module('Part', module=list)\n",
    )
    return root


def test_prefix_of_a_library_imports_it_if_needed(library: Registry) -> None:
    assert library.get("library_of_parts.Part") is list


def test_default_scope_of_a_library_imports_it_if_needed(library: Registry) -> None:
    assert library.build({"type": "Part", "_scope_": "library_of_parts"}) == []


def test_not_found_in_an_unknown_default_scope_names_it(
    root: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotRegisteredError, match='the default scope "elsewhere" is not in this'):
        root.build({"type": "Part", "_scope_": "elsewhere"})
    monkeypatch.setitem(sys.modules, "elsewhere", type(sys)("elsewhere"))
    with pytest.raises(
        NotRegisteredError, match=f'"elsewhere" is imported, and has no "{root.name}"'
    ):
        root.build({"type": "Part", "_scope_": "elsewhere"})


@pytest.fixture
def install_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], None]]:
    """Install the metadata of a distribution, as pip would."""
    plugins.plugin_entry_points.cache_clear()

    def install(entry_points: str) -> None:
        folder = tmp_path / "site" / "plugin-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(textwrap.dedent(entry_points))
        monkeypatch.syspath_prepend(folder.parent)

    yield install
    plugins.plugin_entry_points.cache_clear()


def test_not_found_names_the_module_of_several_entry_points_once(
    install_plugin: Callable[[str], None],
) -> None:
    install_plugin("[engine.located]\na = collections:OrderedDict\nb = collections:Counter\n")
    registry = Registry("located", scope="located")
    with pytest.raises(NotRegisteredError, match=r"imported for this look-up: collections\n"):
        registry.build({"type": "Elsewhere"})


def test_entry_point_of_an_object_is_registered_under_its_name(
    install_plugin: Callable[[str], None],
) -> None:
    install_plugin("[engine.located]\nordered = collections:OrderedDict\nother = no_such:Thing\n")
    registry = Registry("located", scope="located")
    child = Registry("located", parent=registry, scope="child")
    assert child.get("ordered") is importlib.import_module("collections").OrderedDict
    assert list(registry.module_dict) == ["ordered"]


def test_entry_point_of_a_module_registers_what_it_defines(
    registry: Registry, install_plugin: Callable[[str], None], make_package: MakePackage
) -> None:
    install_plugin("[engine.located]\nparts = plugin_parts\n")
    make_package("plugin_parts", DEFINE)
    assert registry.get("Located") is not None


def test_entry_point_that_fails_is_named_in_the_error(
    install_plugin: Callable[[str], None],
) -> None:
    install_plugin("[engine.located]\nThing = no_such_package_here:Thing\n")
    registry = Registry("located", scope="located")
    with pytest.raises(LocationImportError, match="failed to import: no_such_package_here:Thing"):
        registry.build({"type": "Thing"})


def test_dotted_path_into_a_module_that_fails_names_it(
    root: Registry, make_package: MakePackage
) -> None:
    make_package("broken_parts", "raise RuntimeError('out of order')\n")
    with pytest.raises(LocationImportError, match=r"broken_parts.*out of order") as raised:
        root.build({"type": "broken_parts.Thing"})
    assert isinstance(raised.value.__cause__, RuntimeError)


@pytest.mark.parametrize("key", ["otherlib.Square", "Square"], ids=["prefix", "default scope"])
def test_registries_of_a_library_are_imported_from_its_module_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    package = tmp_path / "otherlib"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "registry.py").write_text(
        "from engine_registry import MODELS as ROOT, Registry\n"
        "MODELS = Registry('model', parent=ROOT, scope='otherlib', locations=['otherlib.shapes'])\n"
    )
    (package / "shapes.py").write_text(
        "from otherlib.registry import MODELS\n@MODELS.register_module()\nclass Square:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    with DefaultScope.overwrite_default_scope("otherlib"):
        built = MODELS.build({"type": key})

    assert type(built).__module__ == "otherlib.shapes"
    for name in ("otherlib", "otherlib.registry", "otherlib.shapes"):
        del sys.modules[name]
