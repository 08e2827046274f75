"""The messages for a name that is not found and an object that cannot be built."""

import functools
import pickle
from typing import Any

import pytest

from engine_registry import ConstructionError, LocationImportError, NotRegisteredError, Registry
from engine_utils import ManagerMixin


class Net:
    def __init__(self, depth: int, *, stages: int = 4) -> None:
        if depth < 0:
            raise ValueError(f"depth is positive, not {depth}")
        self.depth, self.stages = depth, stages


class Detector:
    def __init__(self, registry: Registry, backbone: dict[str, Any]) -> None:
        self.backbone = registry.build(backbone)


class MissingFile(Net):
    def __init__(self) -> None:
        raise FileNotFoundError(2, "No such file", "weights.pth")


class OddError(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(first, second)


class Odd:
    def __init__(self) -> None:
        raise OddError(1, 2)


class Typed:
    def __init__(self, size: int, *, weight: float | None = None) -> None:
        self.area = size * size


def with_session(function: Any) -> Any:
    @functools.wraps(function)
    def wrapped(**kwargs: Any) -> Any:
        return function(session=1, **kwargs)

    return wrapped


@with_session
def connected(session: int, depth: int) -> None:
    raise ValueError(f"depth {depth} is not supported in session {session}")


@pytest.fixture
def models(root: Registry) -> Registry:
    for module in (Net, Detector, MissingFile, Odd, Typed, connected):
        root.register_module(module=module)
    return root


def test_not_found_names_registry_scope_and_closest_name(models: Registry) -> None:
    with pytest.raises(NotRegisteredError) as raised:
        models.build({"type": "Nett"})
    text = str(raised.value)
    assert text.startswith("""'Nett' is not in the "model" registry of scope "base\"""")
    assert "did you mean 'Net'?" in text


def test_not_found_suggests_names_of_other_scopes_with_their_prefix(
    models: Registry,
) -> None:
    alpha = Registry("model", parent=models, scope="alpha")
    alpha.register_module("ConvNeXt", module=Net)
    beta = Registry("model", parent=models, scope="beta")
    with pytest.raises(NotRegisteredError, match=r"did you mean 'alpha\.ConvNeXt'"):
        beta.build({"type": "ConvNext"})
    with pytest.raises(NotRegisteredError, match="did you mean 'ConvNeXt'"):
        alpha.build({"type": "alpha.convnext"})


def test_not_found_names_every_scope_that_was_searched(models: Registry) -> None:
    alpha = Registry("model", parent=models, scope="alpha")
    with pytest.raises(NotRegisteredError, match='of scope "alpha", nor in scope "base"'):
        alpha.build({"type": "Nothing"})


def test_not_found_of_an_unknown_scope_lists_the_scopes(models: Registry) -> None:
    Registry("model", parent=models, scope="alpha")
    with pytest.raises(NotRegisteredError, match=r"there are: alpha, base"):
        models.build({"type": "gamma.Transformer"})


def test_not_found_in_a_module_suggests_its_names(models: Registry) -> None:
    with pytest.raises(
        NotRegisteredError, match=r"did you mean 'collections\.OrderedDict'"
    ) as raised:
        models.build({"type": "collections.OrderdDict"})
    assert "._OrderedDict" not in str(raised.value)


def test_not_found_without_a_close_name_shows_how_to_import(models: Registry) -> None:
    with pytest.raises(NotRegisteredError, match="`custom_imports`"):
        models.build({"type": "Transformer"})


def test_not_found_can_be_pickled(models: Registry) -> None:
    with pytest.raises(NotRegisteredError) as raised:
        models.build({"type": "Nothing"})
    copy = pickle.loads(pickle.dumps(raised.value))
    assert str(copy) == str(raised.value)
    assert not isinstance(copy, LocationImportError)


def test_failed_construction_names_class_config_argument_and_signature(models: Registry) -> None:
    with pytest.raises(ConstructionError) as raised:
        models.build({"type": "Net", "dept": 50})
    text = str(raised.value)
    assert f"cannot build `Net` ({__name__})" in text
    assert f"({__name__}): Net has no argument 'dept'; did you mean 'depth'?\n" in text
    assert "Net needs the argument 'depth'" in text
    assert "signature: Net(depth: int, *, stages: int = 4)" in text
    assert "config: {'type': 'Net', 'dept': 50}" in text
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value.__cause__, TypeError)


def test_failed_construction_names_values_of_a_wrong_type(models: Registry) -> None:
    with pytest.raises(TypeError, match="can't multiply sequence") as raised:
        models.build({"type": "Typed", "size": "3", "weight": "2"})
    assert str(raised.value).splitlines()[1:3] == [
        "  size of Typed must be int, got '3'",
        "  weight of Typed must be float | None, got '2'",
    ]


def test_failed_construction_reports_the_error_raised_in_a_decorator(models: Registry) -> None:
    with pytest.raises(ValueError, match="depth 3 is not supported in session 1") as raised:
        models.build({"type": "connected", "depth": 3})
    assert "needs the argument" not in str(raised.value)


def test_failed_construction_of_a_named_instance_does_not_ask_for_its_name(root: Registry) -> None:
    @root.register_module()
    class Recorder(ManagerMixin):
        def __init__(self, name: str, size: int) -> None:
            super().__init__(name)

    with pytest.raises(ConstructionError) as raised:
        root.build({"type": "Recorder", "sized": 3})
    assert "Recorder has no argument 'sized'; did you mean 'size'?" in str(raised.value)
    assert "'name'" not in str(raised.value).partition("signature")[0]


def test_failed_construction_is_an_instance_of_the_original_class(models: Registry) -> None:
    with pytest.raises(ValueError, match="depth is positive, not -1") as raised:
        models.build({"type": "Net", "depth": -1})
    assert isinstance(raised.value, ConstructionError)
    assert type(raised.value.__cause__) is ValueError
    assert "signature" not in str(raised.value)


def test_failed_construction_keeps_the_attributes_of_the_original(models: Registry) -> None:
    with pytest.raises(FileNotFoundError, match=r"weights\.pth") as raised:
        models.build({"type": "MissingFile"})
    assert (raised.value.errno, raised.value.filename) == (2, "weights.pth")


def test_failed_construction_of_a_nested_config_names_both_levels(models: Registry) -> None:
    cfg = {"type": "Detector", "registry": models, "backbone": {"type": "Net", "depth": -1}}
    with pytest.raises(ValueError, match="depth is positive") as raised:
        models.build(cfg)
    lines = str(raised.value).splitlines()
    assert lines[0].startswith("cannot build `Net`")
    assert lines[-1].startswith("  while building `Detector`")
    assert type(raised.value.__cause__) is ValueError


@pytest.mark.parametrize("name", ["Net", "MissingFile", "Odd"])
def test_failed_construction_can_be_pickled(models: Registry, name: str) -> None:
    with pytest.raises(ConstructionError) as raised:
        models.build({"type": name})
    copy = pickle.loads(pickle.dumps(raised.value))
    assert type(copy) is type(raised.value)
    assert str(copy) == str(raised.value)


def test_failed_construction_of_an_unusual_error_class_is_an_instance_of_it(
    models: Registry,
) -> None:
    with pytest.raises(OddError) as raised:
        models.build({"type": "Odd"})
    assert isinstance(raised.value, ConstructionError)


def test_failed_construction_shortens_the_config(models: Registry) -> None:
    with pytest.raises(ConstructionError) as raised:
        models.build({"type": "Net", "dept": "x" * 100_000, **{f"k{i}": i for i in range(1000)}})
    config = next(line for line in str(raised.value).splitlines() if "config:" in line)
    assert len(config) < 400
    assert "  and 998 more" in str(raised.value).splitlines()
