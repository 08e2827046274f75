"""Another name of a scope: `alias_scope`, and ``mmengine`` for Engine's own."""

from collections.abc import Iterator
from typing import Any

import pytest

from engine_registry import (
    DATASETS,
    HOOKS,
    MODELS,
    RUNNERS,
    DefaultScope,
    NotRegisteredError,
    Registry,
    alias_scope,
    init_default_scope,
    make_resolver,
    resolve_type,
)
from engine_registry import _aliases as aliases


class Part:
    pass


class OtherPart:
    pass


@pytest.fixture(autouse=True)
def _restore_aliases() -> Iterator[None]:
    before = dict(aliases._scopes)
    yield
    aliases._scopes.clear()
    aliases._scopes.update(before)


@pytest.mark.parametrize("key", ["mmengine.Part", "mmengine::Part", "engine::Part", "Part"])
def test_mmengine_is_another_name_of_the_root_scope(key: str) -> None:
    MODELS.register_module(module=Part)
    child = Registry("model", parent=MODELS, scope="alias_child")
    for registry in (MODELS, child):
        assert registry.get(key) is Part
        assert isinstance(registry.build({"type": key}), Part)
    assert resolve_type(key, registry=child) is Part
    assert make_resolver({"model": MODELS}, scope="mmengine")(key, "model") is Part


def test_mmengine_prefix_in_a_child_skips_the_name_of_the_child() -> None:
    child = Registry("model", parent=MODELS, scope="alias_child")
    MODELS.register_module(module=Part)
    child.register_module("Part", module=OtherPart)
    assert child.get("Part") is OtherPart
    assert child.get("mmengine.Part") is Part
    with pytest.raises(NotRegisteredError, match=r"'mmengine\.Prt' .*\n.*did you mean 'Part'"):
        child.build({"type": "mmengine.Prt"})


@pytest.mark.parametrize(
    "config",
    [{"type": "Part", "_scope_": "mmengine"}, {"type": "mmengine.Part"}],
    ids=["_scope_", "prefix"],
)
def test_mmengine_in_a_config_overrides_the_default_scope(config: dict[str, Any]) -> None:
    child = Registry("model", parent=MODELS, scope="alias_child")
    MODELS.register_module(module=Part)
    child.register_module("Part", module=OtherPart)
    with DefaultScope.overwrite_default_scope("alias_child"):
        assert isinstance(MODELS.build({"type": "Part"}), OtherPart)
        assert isinstance(MODELS.build(config), Part)


def test_mmengine_as_default_scope_is_the_root() -> None:
    MODELS.register_module(module=Part)
    scope = DefaultScope.get_instance("alias_task", scope_name="mmengine")
    child = Registry("model", parent=MODELS, scope="alias_child")
    assert scope.scope_name == "mmengine"
    assert isinstance(child.build({"type": "Part"}), Part)
    with child.switch_scope_and_registry("mmengine") as registry:
        assert registry is MODELS
    with child.switch_scope_and_registry("alias_child") as registry:
        assert registry is child
    init_default_scope("mmengine")
    assert HOOKS.in_default_scope() is HOOKS


def test_registry_of_an_alias_keeps_its_name_and_is_found_by_both() -> None:
    private = Registry("thing", scope="mmengine")
    private.register_module(module=Part)
    assert private.scope == "mmengine"
    assert private.get("mmengine.Part") is private.get("engine.Part") is Part
    assert repr(private) == "<Registry 'thing' of scope 'mmengine', 1 registered>"


def test_alias_of_an_alias_stands_for_its_scope() -> None:
    tree = Registry("thing", scope="alias_tree")
    tree.register_module(module=Part)
    alias_scope("alias_old", "alias_older")
    alias_scope("alias_older", "alias_tree")
    alias_scope("alias_oldest", "alias_old")
    alias_scope("alias_old", "alias_tree")  # the same again
    for name in ("alias_old", "alias_older", "alias_oldest"):
        assert tree.get(f"{name}.Part") is Part


def test_child_of_the_alias_of_a_sibling_raises() -> None:
    alias_scope("alias_twin", "alias_first")
    root = Registry("thing", scope="alias_tree")
    Registry("thing", parent=root, scope="alias_first")
    with pytest.raises(ValueError, match=r'scope must be unique .* got "alias_twin"'):
        Registry("thing", parent=root, scope="alias_twin")


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (("engine", "engine"), ValueError, "must be another name than the scope, got 'engine'"),
        (
            ("engine", "mmengine"),
            ValueError,
            "got 'engine', because 'mmengine' is an alias of 'engine'",
        ),
        (("mmengine", "other"), ValueError, "stands for 'engine' and not for 'other'"),
        (("alias_used", "engine"), ValueError, "alias must not be the scope of a registry"),
        (("a.b", "engine"), ValueError, "alias must have neither a dot nor a colon, got 'a.b'"),
        (("a", "b::c"), ValueError, "scope must have neither a dot nor a colon"),
        (("", "engine"), TypeError, "alias must be a non-empty string, got ''"),
        (("a", 3), TypeError, "scope must be a non-empty string, got 3"),
    ],
    ids=["same", "loop", "taken", "collision", "dot", "colon", "empty", "number"],
)
def test_alias_that_collides_raises_and_changes_nothing(
    names: tuple[Any, Any], error: type[Exception], message: str
) -> None:
    kept = Registry("thing", scope="alias_used")
    before = dict(aliases._scopes)
    with pytest.raises(error, match=message):
        alias_scope(*names)
    assert aliases._scopes == before
    assert kept.scope == "alias_used"


def test_runner_and_dataset_of_the_field_are_found_by_prefix() -> None:
    RUNNERS.register_module("AliasRunner", module=Part)
    DATASETS.register_module("AliasData", module=Part)
    assert RUNNERS.get("mmengine.AliasRunner") is DATASETS.get("mmengine.AliasData") is Part
