"""Register and look up: names, prefixes, parents, children, siblings."""

import collections.abc
import logging
from collections import OrderedDict
from functools import partial
from typing import Any

import pytest

from engine_registry import DefaultScope, NotRegisteredError, Registry


class Square:
    def __init__(self, side: int = 1) -> None:
        self.side = side


class OtherSquare(Square):
    pass


def area(side: int) -> int:
    return side * side


def test_register_as_decorator_uses_the_class_name(root: Registry) -> None:
    @root.register_module()
    class Circle:
        pass

    assert root.get("Circle") is Circle
    assert root.module_dict == {"Circle": Circle}
    assert Circle.__name__ == "Circle"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(None, ["Square"], id="own name"),
        pytest.param("square", ["square"], id="one name"),
        pytest.param(["a", "b"], ["a", "b"], id="list"),
        pytest.param(("a", "b"), ["a", "b"], id="tuple"),
    ],
)
def test_register_as_call_uses_the_names_given(
    root: Registry, name: Any, expected: list[str]
) -> None:
    assert root.register_module(name, module=Square) is Square
    assert list(root.module_dict) == expected


def test_register_accepts_positional_name_with_module_keyword(root: Registry) -> None:
    root.register_module("Renamed", module=Square)
    assert root.get("Renamed") is Square


def test_register_decorates_functions(root: Registry) -> None:
    @root.register_module(name="build_square", force=False)
    def build(side: int) -> Square:
        return Square(side)

    assert root.build({"type": "build_square", "side": 2}).side == 2


def test_register_accepts_any_callable_with_a_name(root: Registry) -> None:
    root.register_module("unit", module=partial(Square, side=1))
    assert root.build({"type": "unit"}).side == 1


def test_register_of_a_taken_name_raises(root: Registry) -> None:
    root.register_module(module=Square)
    with pytest.raises(KeyError, match=r"Square is already registered in model at .*force=True"):
        root.register_module(name="Square", module=OtherSquare)
    assert root.get("Square") is Square


def test_register_replaces_with_force(root: Registry) -> None:
    root.register_module(module=Square)
    root.register_module("Square", True, OtherSquare)
    assert root.get("Square") is OtherSquare


def test_register_of_several_names_with_a_taken_one_registers_none(root: Registry) -> None:
    root.register_module(module=Square)
    with pytest.raises(KeyError, match="Square is already registered"):
        root.register_module(["Box", "Square"], module=Square)
    assert list(root.module_dict) == ["Square"]


def test_register_of_an_object_without_a_name_raises(root: Registry) -> None:
    unit = partial(Square, 1)
    with pytest.raises(TypeError, match="has no __name__; pass name="):
        root.register_module(module=unit)
    assert root.register_module("Unit", module=unit) is unit
    with pytest.raises(KeyError, match="Unit is already registered in model at "):
        root.register_module("Unit", module=unit)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": 3}, TypeError, "name must be a non-empty string, got 3"),
        ({"scope": 3}, TypeError, "scope must be a non-empty string, got 3"),
        ({"scope": "a.b"}, ValueError, r"scope must not have a dot, .* got 'a\.b'"),
        ({"locations": "a.b"}, TypeError, r"must be a list of modules, got 'a\.b'; add brackets"),
        ({"locations": [3]}, TypeError, "a location must be a non-empty string, got 3"),
        ({"build_func": 3}, TypeError, "build_func must be a function or a string, got 3"),
    ],
    ids=["name", "scope", "dotted scope", "one location", "location", "build function"],
)
def test_registry_with_wrong_arguments_raises(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Registry(**{"name": "model", **arguments})


@pytest.mark.parametrize(
    "name", [7, ["a", 7], Square, ""], ids=["int", "mixed list", "bare class", "empty"]
)
def test_register_with_wrong_names_raises(root: Registry, name: Any) -> None:
    with pytest.raises(TypeError, match="name must be None, a string or a sequence of strings"):
        root.register_module(name)


def test_register_of_a_number_raises(root: Registry) -> None:
    with pytest.raises(TypeError, match='"model" holds classes and functions, got int'):
        root.register_module(module=3)  # type: ignore[call-overload]  # the mistake under test


def test_register_with_force_that_is_not_a_bool_raises(root: Registry) -> None:
    with pytest.raises(TypeError, match="force must be True or False, got 'yes'"):
        root.register_module(force="yes")  # type: ignore[call-overload]  # the mistake under test


def test_scope_defaults_to_the_package_that_creates_the_registry() -> None:
    here = __name__.partition(".")[0]
    assert Registry("thing").scope == here
    assert Registry.infer_scope() == here


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("mmdet.ResNet", ("mmdet", "ResNet")),
        ("ResNet", (None, "ResNet")),
        ("a.b.C", ("a", "b.C")),
    ],
    ids=["scope", "no scope", "two dots"],
)
def test_split_scope_key_splits_at_the_first_dot(
    key: str, expected: tuple[str | None, str]
) -> None:
    assert Registry.split_scope_key(key) == expected


def test_child_is_listed_by_its_scope_and_has_a_root(root: Registry) -> None:
    child = Registry("model", parent=root, scope="alpha")
    grandchild = Registry("model", parent=child, scope="alpha_plugin")
    assert root.children == {"alpha": child}
    assert grandchild.root is root
    assert root.root is root


def test_child_of_a_taken_scope_raises(root: Registry) -> None:
    Registry("model", parent=root, scope="alpha")
    with pytest.raises(
        ValueError, match=r'scope must be unique among the children of .* got "alpha"'
    ):
        Registry("model", parent=root, scope="alpha")


def test_parent_that_is_not_a_registry_raises() -> None:
    with pytest.raises(TypeError, match="parent must be a Registry or None, got str"):
        Registry("model", parent="base")  # type: ignore[arg-type]  # the mistake under test


def test_child_finds_its_own_before_its_parents(root: Registry) -> None:
    child = Registry("model", parent=root, scope="alpha")
    root.register_module(module=Square)
    child.register_module("Square", module=OtherSquare)
    assert child.get("Square") is OtherSquare
    assert child.get("base.Square") is Square
    assert child.get("alpha.Square") is OtherSquare
    assert root.get("Square") is Square
    assert root.get("alpha.Square") is OtherSquare


def test_child_finds_what_only_ancestors_hold(root: Registry) -> None:
    grandchild = Registry(
        "model", parent=Registry("model", parent=root, scope="alpha"), scope="plugin"
    )
    root.register_module(module=Square)
    assert grandchild.get("Square") is Square
    assert grandchild.get("base.Square") is Square


def test_prefix_of_the_registry_itself_skips_its_ancestors(root: Registry) -> None:
    child = Registry("model", parent=root, scope="alpha")
    root.register_module(module=Square)
    assert child.get("alpha.Square") is None


def test_sibling_is_found_only_with_its_prefix(root: Registry) -> None:
    alpha = Registry("model", parent=root, scope="alpha")
    beta = Registry("model", parent=root, scope="beta")
    alpha.register_module(module=Square)
    assert beta.get("alpha.Square") is Square
    assert beta.get("Square") is None
    assert root.get("Square") is None


def test_grandchild_is_found_from_any_registry_with_its_prefix(root: Registry) -> None:
    alpha = Registry("model", parent=root, scope="alpha")
    plugin = Registry("model", parent=alpha, scope="plugin")
    beta = Registry("model", parent=root, scope="beta")
    plugin.register_module(module=Square)
    assert beta.get("plugin.Square") is Square
    assert root.get("alpha.plugin.Square") is Square


def test_get_imports_a_dotted_path(root: Registry) -> None:
    assert root.get("collections.OrderedDict") is OrderedDict
    assert root.get("collections.abc.Mapping") is not None


@pytest.mark.parametrize(
    "key",
    ["Nothing", "no_such_module.Thing", "collections.Nothing", "a..b", "a b.c", "math.pi"],
)
def test_get_of_an_unknown_key_returns_none(root: Registry, key: str) -> None:
    assert root.get(key) is None
    assert key not in root


def test_get_of_the_path_of_a_module_gives_the_module(root: Registry) -> None:
    found: object = root.get("collections.abc")
    assert found is collections.abc
    assert "collections.abc" in root
    with pytest.raises(TypeError, match=r"got 'collections\.abc', which is a module"):
        root.build({"type": "collections.abc"})


def test_register_module_of_the_field_takes_its_keywords(root: Registry) -> None:
    root._register_module(module=Square)
    root._register_module(module=OtherSquare, module_name=["Square", "Box"], force=True)
    assert root.module_dict == {"Square": OtherSquare, "Box": OtherSquare}
    with pytest.raises(KeyError, match="Box is already registered"):
        root._register_module(module=Square, module_name="Box", force=False)


def test_register_module_calls_an_overridden_method() -> None:
    class Recorded(Registry):
        def _register_module(
            self, module: Any, module_name: Any = None, force: bool = False
        ) -> None:
            super()._register_module(module=module, module_name=f"my_{module_name[0]}", force=force)

    registry = Recorded("model", scope="base")
    registry.register_module(name="Square", module=Square)
    assert registry.module_dict == {"my_Square": Square}


def test_get_with_a_key_that_is_not_a_string_raises(root: Registry) -> None:
    with pytest.raises(TypeError, match="key of a registry must be a string, got type"):
        root.get(Square)  # type: ignore[arg-type]  # the mistake under test


def test_registry_has_length_membership_and_is_true_when_empty(root: Registry) -> None:
    assert bool(root)
    assert len(root) == 0
    root.register_module(module=Square)
    assert len(root) == 1
    assert "Square" in root
    assert repr(root) == "<Registry 'model' of scope 'base', 1 registered>"


def test_switch_scope_and_registry_yields_the_registry_of_the_scope(root: Registry) -> None:
    custom = Registry("model", parent=root, scope="custom")
    for scope in ("mmdet", "mmcls"):
        Registry("model", parent=root, scope=scope)
    DefaultScope.get_instance("task", scope_name="custom")
    with custom.switch_scope_and_registry("mmcls") as outer:
        assert (outer.scope, _current()) == ("mmcls", "mmcls")
        with custom.switch_scope_and_registry("mmdet") as inner:
            assert (inner.scope, _current()) == ("mmdet", "mmdet")
        assert _current() == "mmcls"
    assert _current() == "custom"


def test_switch_scope_and_registry_yields_itself_for_an_unknown_scope(root: Registry) -> None:
    with root.switch_scope_and_registry("elsewhere") as registry:
        assert registry is root
        assert _current() == "elsewhere"


def test_switch_scope_and_registry_keeps_the_scope_for_none(root: Registry) -> None:
    child = Registry("model", parent=root, scope="alpha")
    DefaultScope.get_instance("task", scope_name="alpha")
    with root.switch_scope_and_registry(None) as registry:
        assert registry is child


def _current() -> str:
    current = DefaultScope.get_current_instance()
    return current.scope_name if current else ""


def test_build_function_is_inherited_from_the_parent() -> None:
    def build(cfg: dict[str, Any], registry: Registry, *args: Any, **kwargs: Any) -> Any:
        rest = cfg.copy()
        kind = registry.get(rest.pop("type"))
        return "built", kind and kind(*args, **kwargs, **rest)

    root = Registry("model", build_func=build, scope="base")
    child = Registry("model", parent=root, scope="alpha")
    child.register_module(module=area)
    cfg = {"type": "area", "side": 3}
    assert child.build(cfg) == ("built", 9)
    assert child.build({"type": "area"}, 4) == ("built", 16)
    assert cfg == {"type": "area", "side": 3}


def test_build_function_may_be_named_by_a_string() -> None:
    registry = Registry("thing", build_func="engine_registry:build_from_cfg", scope="base")
    registry.register_module(module=area)
    assert registry.build({"type": "area", "side": 3}) == 9


@pytest.mark.parametrize(
    ("value", "error"),
    [("nothing", ValueError), ("os:nothing", ImportError), ("no_such_module:f", ImportError)],
)
def test_build_function_of_a_wrong_string_raises(value: str, error: type[Exception]) -> None:
    registry = Registry("thing", build_func=value, scope="base")
    with pytest.raises(error):
        registry.build({"type": "area"})


def test_look_up_is_logged_for_debugging(
    root: Registry, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    root.register_module(module=Square)
    child = Registry("model", parent=root, scope="child")
    with caplog.at_level(logging.DEBUG, logger="engine"):
        child.get("Square")
        child.build({"type": "Square"})
        child.build({"type": "collections.OrderedDict"})
    got = 'Get class `Square` from "model" registry in "base"'
    built = "An `{}` instance is built from registry, its implementation can be found in {}"
    assert caplog.messages == [
        got,
        got,
        built.format("Square", __name__),
        built.format("OrderedDict", "collections"),
    ]


def test_unknown_type_is_a_key_error(root: Registry) -> None:
    with pytest.raises(NotRegisteredError) as raised:
        root.build({"type": "Nothing"})
    assert isinstance(raised.value, KeyError)
