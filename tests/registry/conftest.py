"""New registries for each test, and packages written by tests."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine_registry import DefaultScope, Registry
from engine_registry._roots import ROOTS


@pytest.fixture(autouse=True)
def _restore_registries() -> Iterator[None]:
    tables = {name: (dict(root.module_dict), dict(root.children)) for name, root in ROOTS.items()}
    scopes = set(DefaultScope._instance_dict)
    yield
    for name, (modules, children) in tables.items():
        for table, before in ((ROOTS[name].module_dict, modules), (ROOTS[name].children, children)):
            for added in set(table) - set(before):
                del table[added]
    for added in set(DefaultScope._instance_dict) - scopes:
        DefaultScope.release_instance(added)


@pytest.fixture
def root() -> Registry:
    return Registry("model", scope="base")


@pytest.fixture
def make_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], None]]:
    """Write an importable module; it is removed from ``sys.modules`` after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def make(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        made.append(name)

    yield make
    for name in made:
        sys.modules.pop(name, None)
