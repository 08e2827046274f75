"""The root registries, the reports about them, and the resolver."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import engine_registry
from engine_registry import (
    COLLATE_FUNCTIONS,
    EVALUATOR,
    FUNCTIONS,
    HOOKS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    TASK_UTILS,
    NotRegisteredError,
    Registry,
    make_resolver,
    resolve_type,
    traverse_registry_tree,
)
from engine_registry._roots import ROOTS


class Blob:
    def __init__(self, size: int) -> None:
        raise AssertionError("a resolver builds nothing")


@pytest.mark.parametrize("name", sorted(ROOTS))
def test_root_registry_is_exported_with_the_scope_engine(name: str) -> None:
    root = getattr(engine_registry, name)
    assert (root.scope, root.parent) == ("engine", None)
    assert root.name == root.name.lower()


def test_root_registries_are_those_of_the_manual_and_three_more() -> None:
    documented = (
        "DATASETS DATA_SAMPLERS EVALUATOR HOOKS INFERENCERS LOG_PROCESSORS LOOPS METRICS MODELS "
        "MODEL_WRAPPERS OPTIMIZERS OPTIM_WRAPPERS OPTIM_WRAPPER_CONSTRUCTORS PARAM_SCHEDULERS "
        "RUNNERS RUNNER_CONSTRUCTORS TASK_UTILS TRANSFORMS VISBACKENDS VISUALIZERS "
        "WEIGHT_INITIALIZERS COLLATE_FUNCTIONS FUNCTIONS OPTIM_WRAPPER STRATEGIES"
    )
    assert sorted(ROOTS) == sorted(documented.split())
    assert OPTIM_WRAPPER is OPTIM_WRAPPERS
    assert COLLATE_FUNCTIONS is FUNCTIONS
    assert len({root.name for root in ROOTS.values()}) == len(ROOTS) - 2


def test_importing_the_registry_loads_neither_numpy_nor_torch() -> None:
    script = "import sys, engine_registry; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600
    )
    assert done.stdout.strip() == "[]"


def test_traverse_lists_every_registry_of_the_tree(
    root: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    child = Registry("model", parent=root, scope="alpha")
    child.register_module(module=Blob)
    assert traverse_registry_tree(child) == [
        {"registry": "model", "scope": "base", "parent": None, "num_modules": 0, "modules": {}},
        {
            "registry": "model",
            "scope": "alpha",
            "parent": "base",
            "num_modules": 1,
            "modules": {"Blob": f"{__name__}.Blob"},
        },
    ]
    assert capsys.readouterr().out == (
        "model (scope base): 0 registered\n"
        f"    model (scope alpha): 1 registered\n      Blob  {__name__}.Blob\n"
    )


COUNT = """
import json, sys
from engine_registry import MODELS, count_registered_modules
MODELS.register_module("Ordered", module=dict)
for name in ("engine_runner", "engine_model", "engine_optim", "engine_dataset",
             "engine_evaluator", "engine_visualization"):
    sys.modules[name] = None  # as if it were not installed
count_registered_modules(sys.argv[1], verbose=sys.argv[2] == "verbose")
"""


@pytest.mark.parametrize("target", ["table.json", "folder"])
def test_count_writes_a_file_that_lists_all_roots(tmp_path: Path, target: str) -> None:
    path = tmp_path / target
    done = subprocess.run(
        [sys.executable, "-c", COUNT, str(path), "verbose"],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    file = path if path.suffix else path / "modules_statistic_results.json"
    counted = json.loads(file.read_text())
    assert sorted(counted["registries"]) == sorted(ROOTS)
    (models,) = counted["registries"]["MODELS"]
    assert models["modules"]["Ordered"] == "builtins.dict"
    assert "engine_model" in counted["not_imported"]
    assert "model (scope engine): 1 registered\n  Ordered  builtins.dict\n" in done.stdout


def test_resolve_type_finds_without_building(root: Registry) -> None:
    root.register_module(module=Blob)
    assert resolve_type("Blob", registry=root) is Blob
    assert resolve_type(Blob) is Blob
    assert resolve_type(f"{Path.__module__}.Path") is Path


def test_resolve_type_searches_the_scope_given(root: Registry) -> None:
    alpha = Registry("model", parent=root, scope="alpha")
    alpha.register_module(module=Blob)
    assert resolve_type("Blob", registry=root, scope="alpha") is Blob
    with pytest.raises(NotRegisteredError, match=r"did you mean 'alpha\.Blob'"):
        resolve_type("Blob", registry=root)


def test_resolve_type_of_a_number_raises() -> None:
    with pytest.raises(TypeError, match="type must be a name"):
        resolve_type(3)


PLACES: dict[str, Registry | Sequence[Registry]] = {
    "custom_hooks": HOOKS,
    "model": [MODELS],
    "optim_wrapper": OPTIM_WRAPPERS,
    "optimizer": OPTIMIZERS,
    "val_evaluator": (EVALUATOR, METRICS),
}


@pytest.fixture
def only_blob(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that no package defines, and no package imported for the sake of this test."""
    for name in ("engine_runner", "engine_model", "engine_optim", "engine_dataset"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("engine_evaluator", "engine_visualization", "engine_runner.hooks"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("only_blob")
def test_resolver_prefers_the_registry_of_the_key_path() -> None:
    MODELS.register_module("BlobPart", module=dict)
    METRICS.register_module("BlobPart", module=list)
    HOOKS.register_module("BlobPart", module=tuple)
    resolve = make_resolver(PLACES)
    assert resolve("BlobPart", "model.backbone") is dict
    assert resolve("BlobPart", "val_evaluator[0]") is list
    assert resolve("BlobPart", "custom_hooks.0") is tuple


@pytest.mark.usefixtures("only_blob")
def test_resolver_searches_all_registries_for_nested_configs() -> None:
    TASK_UTILS.register_module("BlobAssigner", module=dict)
    assert make_resolver(PLACES)("BlobAssigner", "model.train_cfg.assigner") is dict


@pytest.mark.usefixtures("only_blob")
def test_resolver_of_an_unknown_name_in_a_place_raises() -> None:
    OPTIMIZERS.register_module("BlobOptimizer", module=dict)
    MODELS.register_module("BlobModel", module=dict)
    resolve = make_resolver(PLACES)
    with pytest.raises(NotRegisteredError, match="did you mean 'BlobOptimizer'"):
        resolve("BlobOptimiser", "optim_wrapper.optimizer")
    with pytest.raises(NotRegisteredError, match="did you mean 'BlobModel'"):
        resolve("BlobModl", "model.backbone")
    with pytest.raises(NotRegisteredError, match='not in the registry "evaluator" or "metric"'):
        resolve("BlobMetric", "val_evaluator")
    with pytest.raises(NotRegisteredError):
        resolve("BlobModel", "optim_wrapper.optimizer")


@pytest.mark.usefixtures("only_blob")
@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("norm", "optim_wrapper.clip_grad"),
        ("BN", "model.norm_cfg"),
        ("linear", "my_setting"),
        (3, "my_setting"),
        (None, "model.norm_cfg"),
        (None, "model"),
    ],
)
def test_resolver_returns_none_where_type_may_have_another_meaning(
    value: object, path: str
) -> None:
    assert make_resolver(PLACES, other_meaning={"clip_grad"})(value, path) is None


def test_resolver_of_a_number_in_a_place_raises() -> None:
    with pytest.raises(TypeError, match=r"type must be a name, .* got int: 3"):
        make_resolver(PLACES)(3, "model")


@pytest.mark.usefixtures("only_blob")
def test_resolver_without_places_looks_in_all_registries() -> None:
    HOOKS.register_module("BlobHook", module=dict)
    resolve = make_resolver()
    assert resolve("BlobHook", "model.backbone") is dict
    assert resolve("no such name", "model.backbone") is None
