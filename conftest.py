"""Guards around tests and doctests: what one changes in the process is put back, or it fails."""

import logging
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, however slow the machine: a gate that fails has found something.
# New examples are tried with --hypothesis-profile=default.
settings.register_profile(
    "gate",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gate")


TESTS = Path(__file__).parent / "tests"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Keep the search for doctests from importing the programs that tests start."""
    is_module = collection_path.suffix == ".py" and TESTS in collection_path.parents
    return True if is_module and not collection_path.name.startswith("test_") else None


@pytest.fixture(autouse=True)
def _restore_environment() -> Iterator[None]:
    before, folder, path = dict(os.environ), os.getcwd(), list(sys.path)
    yield
    os.chdir(folder)
    sys.path[:] = path
    for name in set(os.environ) - set(before) - {"PYTEST_CURRENT_TEST"}:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def _restore_random_state() -> Iterator[None]:
    state = random.getstate()
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    numpy_state = numpy.random.get_state() if numpy else None
    torch_state = torch.random.get_rng_state() if torch else None
    yield
    random.setstate(state)
    if numpy:
        numpy.random.set_state(numpy_state)
    if torch:
        torch.random.set_rng_state(torch_state)
        if torch.are_deterministic_algorithms_enabled():  # setting it imports the compiler
            torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True)
def _restore_loggers() -> Iterator[None]:
    engine = logging.getLogger("engine")
    handlers, level, propagate = list(engine.handlers), engine.level, engine.propagate
    yield
    engine.handlers[:], engine.propagate = handlers, propagate
    engine.setLevel(level)


@pytest.fixture(autouse=True)
def _restore_registries() -> Iterator[None]:
    """Take out what the test registered in the root registries; what packages did stays."""
    roots = sys.modules.get("engine_registry._roots")
    registries = roots.ROOTS.values() if roots else ()
    before = [
        (registry, dict(registry.module_dict), dict(registry.children)) for registry in registries
    ]
    yield
    for registry, modules, children in before:
        for name, found in list(registry.module_dict.items()):
            if name in modules:
                registry.module_dict[name] = modules[name]
            elif not getattr(found, "__module__", "").startswith(("engine_", "torch")):
                del registry.module_dict[name]
        registry.children.clear()
        registry.children.update(children)


@pytest.fixture(autouse=True)
def _restore_default_scope() -> Iterator[None]:
    before = set(_scopes())
    yield
    for name in set(_scopes()) - before:
        sys.modules["engine_registry._scope"].DefaultScope.release_instance(name)


def _scopes() -> dict[str, Any]:
    module = sys.modules.get("engine_registry._scope")
    instances: dict[str, Any] = module.DefaultScope._instance_dict if module else {}
    return instances


@pytest.fixture(autouse=True)
def _no_process_group_left() -> Iterator[None]:
    yield
    torch = sys.modules.get("torch")
    if torch and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        pytest.fail("the test left a process group behind; destroy it in the test")
