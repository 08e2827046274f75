"""Building from configs: arguments, scopes, lists, runners, schedulers."""

import sys
from collections import OrderedDict, UserDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import pytest

from engine_registry import (
    DefaultScope,
    Registry,
    build_from_cfg,
    build_model_from_cfg,
    build_runner_from_cfg,
    build_scheduler_from_cfg,
)
from engine_utils import ManagerMixin


class Net:
    def __init__(self, depth: int, stages: int = 4) -> None:
        self.depth, self.stages = depth, stages


class AttributeMapping(Mapping[str, Any]):
    """A config of another library: a mapping that is not a dict."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class LazyDict(dict[str, Any]):
    """A dict whose stored values are placeholders until they are read."""

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        return value() if isinstance(value, type(lambda: 0)) else value


@pytest.fixture
def models(root: Registry) -> Registry:
    root.register_module(module=Net)
    return root


@pytest.mark.parametrize(
    "make", [dict, OrderedDict, UserDict, AttributeMapping], ids=lambda make: make.__name__
)
def test_build_accepts_any_mapping_and_does_not_change_it(
    models: Registry, make: Callable[..., Mapping[str, Any]]
) -> None:
    cfg = make(type="Net", depth=50)
    net = models.build(cfg=cfg)
    assert (net.depth, net.stages) == (50, 4)
    assert models.build(cfg).depth == 50
    assert list(cfg.items()) == [("type", "Net"), ("depth", 50)]


def test_build_reads_values_through_the_mapping_itself(models: Registry) -> None:
    assert models.build(LazyDict(type=lambda: Net, depth=lambda: 18)).depth == 18


@pytest.mark.parametrize(
    "kind", ["Net", Net, f"{__name__}.Net"], ids=["name", "class", "dotted path"]
)
def test_build_accepts_a_name_a_class_or_a_path(
    models: Registry, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Net.__module__])
    assert models.build({"type": kind, "depth": 1}).depth == 1


def test_build_calls_a_function(root: Registry) -> None:
    @root.register_module()
    def collect(**kwargs: Any) -> dict[str, Any]:
        return kwargs

    nested = [{"type": "Net"}]
    assert root.build({"type": "collect", "a": 1, "nested": nested}) == {"a": 1, "nested": nested}
    assert root.build({"type": "collect", "nested": nested})["nested"] is nested


def test_build_prefers_the_config_to_default_args(models: Registry) -> None:
    net = build_from_cfg({"depth": 18}, models, {"type": "Net", "depth": 50, "stages": 3})
    assert (net.depth, net.stages) == (18, 3)


def test_build_passes_default_arguments_to_build_from_cfg(models: Registry) -> None:
    assert models.build({"type": "Net", "depth": 1}, default_args={"stages": 2}).stages == 2
    assert models.build({"type": "Net", "depth": 1}, {"stages": 2}).stages == 2


@pytest.mark.parametrize(
    ("cfg", "default_args", "error", "message"),
    [
        pytest.param({"depth": 1}, None, KeyError, 'must have the key \\\\?"type', id="no type"),
        pytest.param([1], None, TypeError, "cfg must be a mapping, got list", id="list"),
        pytest.param("Net", None, TypeError, "cfg must be a mapping, got str", id="str"),
        pytest.param(
            {"type": 3}, None, TypeError, "type must be a name.*got int: 3", id="type of type"
        ),
        pytest.param(
            {"type": "Net"},
            3,
            TypeError,
            "default_args must be a mapping, got int",
            id="default_args",
        ),
    ],
)
def test_build_of_a_wrong_config_raises(
    models: Registry, cfg: Any, default_args: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_from_cfg(cfg, models, default_args)


def test_build_without_a_registry_raises() -> None:
    with pytest.raises(TypeError, match="registry must be a Registry, got str"):
        build_from_cfg({"type": "Net"}, "models")  # type: ignore[arg-type]  # under test


def test_build_looks_in_the_default_scope_first(models: Registry) -> None:
    alpha = Registry("model", parent=models, scope="alpha")

    @alpha.register_module(name="Net")
    class AlphaNet(Net):
        pass

    DefaultScope.get_instance("task", scope_name="alpha")
    assert type(models.build({"type": "Net", "depth": 1})) is AlphaNet
    assert type(models.build({"type": "base.Net", "depth": 1})) is Net


def test_build_of_a_child_finds_its_own_entries_in_any_default_scope(models: Registry) -> None:
    alpha = Registry("model", parent=models, scope="alpha")
    alpha.register_module("AlphaNet", module=Net)
    DefaultScope.get_instance("task", scope_name="base")
    assert alpha.build({"type": "AlphaNet", "depth": 1}).depth == 1


def test_build_with_scope_key_applies_to_nested_configs(root: Registry) -> None:
    alpha = Registry("model", parent=root, scope="alpha")
    alpha.register_module("Backbone", module=Net)

    @alpha.register_module()
    class Detector:
        def __init__(self, backbone: dict[str, Any]) -> None:
            self.backbone = root.build(backbone)

    cfg = {"type": "Detector", "_scope_": "alpha", "backbone": {"type": "Backbone", "depth": 9}}
    assert root.build(cfg).backbone.depth == 9
    assert cfg["_scope_"] == "alpha"
    assert DefaultScope.get_current_instance() is None
    with pytest.raises(KeyError):
        root.build({"type": "Backbone", "depth": 9})


def test_named_instances_are_built_with_get_instance(root: Registry) -> None:
    @root.register_module()
    class Recorder(ManagerMixin):
        def __init__(self, name: str = "recorder", size: int = 1) -> None:
            super().__init__(name)
            self.size = size

    built = root.build({"type": "Recorder", "name": "run", "size": 3})
    assert Recorder.get_instance("run") is built
    assert Recorder.get_current_instance() is built
    assert root.build({"type": "Recorder"}).instance_name == "recorder"


def test_list_of_configs_builds_a_sequential() -> None:
    torch = pytest.importorskip("torch")
    models = Registry("model", build_func=build_model_from_cfg, scope="base")
    models.register_module(module=torch.nn.Linear)
    cfg = [{"type": "Linear", "in_features": 2, "out_features": 3}, {"type": torch.nn.ReLU}]
    net = models.build(cfg)
    assert isinstance(net, torch.nn.Sequential)
    assert net(torch.zeros(1, 2)).shape == (1, 3)
    assert isinstance(models.build(cfg[0]), torch.nn.Linear)


class ToyRunner:
    def __init__(self, cfg: Mapping[str, Any]) -> None:
        self.cfg = cfg

    @classmethod
    def from_cfg(cls, cfg: Mapping[str, Any]) -> Self:
        return cls(cfg)


class CustomRunner(ToyRunner):
    pass


def test_runner_is_built_by_its_from_cfg() -> None:
    runners = Registry("runner", build_func=build_runner_from_cfg, scope="base")
    runners.register_module("Runner", module=ToyRunner)
    runners.register_module(module=CustomRunner)
    cfg = {"runner_type": "CustomRunner", "max_epochs": 3}
    runner = runners.build(cfg)
    assert type(runner) is CustomRunner
    assert runner.cfg is cfg
    assert cfg == {"runner_type": "CustomRunner", "max_epochs": 3}
    assert type(runners.build({"max_epochs": 3})) is ToyRunner


def test_runner_named_by_type_raises() -> None:
    runners = Registry("runner", build_func=build_runner_from_cfg, scope="base")

    with pytest.raises(ValueError, match="named by runner_type, got type='CustomRunner'"):
        runners.build({"type": "CustomRunner"})


class Schedule:
    def __init__(self, optimizer: object, end: int, by_epoch: bool = True) -> None:
        self.optimizer, self.end, self.by_epoch = optimizer, end, by_epoch

    @classmethod
    def build_iter_from_epoch(
        cls, *, end: int, epoch_length: int, by_epoch: bool = True, **kwargs: Any
    ) -> Self:
        return cls(end=end * epoch_length, by_epoch=False, **kwargs)


@pytest.fixture
def schedulers() -> Registry:
    registry = Registry("param_scheduler", build_func=build_scheduler_from_cfg, scope="base")
    registry.register_module(module=Schedule)
    return registry


def test_scheduler_is_built_by_its_constructor(schedulers: Registry) -> None:
    defaults = {"optimizer": "sgd", "epoch_length": 10}
    schedule = schedulers.build({"type": "Schedule", "end": 3}, default_args=defaults)
    assert (schedule.optimizer, schedule.end, schedule.by_epoch) == ("sgd", 3, True)
    assert defaults == {"optimizer": "sgd", "epoch_length": 10}


def test_scheduler_is_converted_to_iterations(schedulers: Registry) -> None:
    cfg = {"type": "Schedule", "end": 3, "convert_to_iter_based": True}
    schedule = schedulers.build(cfg, default_args={"optimizer": "sgd", "epoch_length": 10})
    assert (schedule.end, schedule.by_epoch) == (30, False)
    assert cfg == {"type": "Schedule", "end": 3, "convert_to_iter_based": True}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({}, "needs epoch_length"),
        (
            {"epoch_length": 10, "by_epoch": False},
            "by_epoch must be True with convert_to_iter_based, got False",
        ),
    ],
    ids=["no length", "by iteration"],
)
def test_scheduler_with_an_invalid_conversion_raises(
    schedulers: Registry, extra: dict[str, Any], message: str
) -> None:
    cfg = {"type": "Schedule", "end": 3, "optimizer": 0, "convert_to_iter_based": True, **extra}
    with pytest.raises(ValueError, match=message):
        schedulers.build(cfg)
