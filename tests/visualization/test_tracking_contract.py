"""The tests that all tracking backends must pass, each with its real service."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest

import engine_visualization
from engine_registry import VISBACKENDS
from engine_visualization import BaseVisBackend, Visualizer
from engine_visualization.backends import _table
from engine_visualization.backends._row import BackendRow

if TYPE_CHECKING:
    from tests.visualization.conftest import FakeConfig, Recording


def test_nothing_is_written_before_the_first_record(recording: Recording) -> None:
    assert not recording.touched


def test_scalars_of_every_kind_are_recorded_as_numbers(recording: Recording) -> None:
    assert recording.records.scalars == {"count": 3, "loss": 0.5, "acc": 0.75}


def test_dict_of_scalars_is_not_changed(recording: Recording) -> None:
    assert list(recording.given) == ["loss", "acc"]


def test_image_is_recorded_under_its_name(recording: Recording) -> None:
    assert recording.records.images == {"demo"}


def test_config_is_recorded_as_its_text(recording: Recording, config: FakeConfig) -> None:
    assert recording.records.config == config.pretty_text


def test_closed_backend_records_again(recording: Recording) -> None:
    assert recording.later.scalars["again"] == 1


def test_image_of_another_shape_raises(recording: Recording) -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\).* got \(3, 8, 9\)"):
        recording.backend.add_image("a", np.zeros((3, 8, 9)))


def test_save_dir_is_the_folder_as_text(recording: Recording) -> None:
    assert isinstance(recording.backend, BaseVisBackend)
    assert Path(recording.backend.save_dir).name == "run"


def test_missing_library_raises_and_names_the_extra(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, kind = recording.tracker.library, type(recording.backend)
    if library is None:
        return
    for name in list(sys.modules):
        if name.split(".")[0] == library or name.startswith(f"torch.utils.{library}"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)

    install = rf'the tracking backend {library} needs .*"engine-visualization\[{library}\]"'
    with pytest.raises(ImportError, match=install):
        kind("unused").add_scalar("loss", 1.0)


def static_classes(table: ModuleType) -> set[str]:
    """The classes that the table imports for editors and type checkers."""
    tree = ast.parse(inspect.getsource(table))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.name
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def extras_named(folder: Path) -> set[str]:
    """The extras that the files of a folder name when they import a library."""
    text = "".join(file.read_text() for file in folder.glob("*.py"))
    return set(re.findall(r'import_library\(\s*"(\w+)"', text))


def test_each_row_is_exported_has_an_extra_and_passes_the_contract(
    under_contract: set[str],
) -> None:
    pyproject = Path(__file__).parents[2] / "packages/engine-visualization/pyproject.toml"
    extras = tomllib.loads(pyproject.read_text())["project"]["optional-dependencies"]
    rows = [row for row in _table.ROWS if row.name != "ToyVisBackend"]
    classes = {row.class_name for row in rows}

    assert static_classes(_table) == classes
    assert classes < set(engine_visualization.__all__)
    assert extras_named(Path(_table.__file__).parent) == set(extras) - {"all", "opencv", "plots"}
    assert {row.name for row in rows} == under_contract - {"ToyVisBackend"}
    assert all(VISBACKENDS.get(row.name) is row.load() for row in rows)


def test_new_backend_is_one_file_and_one_row(toy: BackendRow, tmp_path: Path) -> None:
    visualizer = Visualizer(vis_backends=[{"type": "ToyVisBackend"}], save_dir=tmp_path)

    visualizer.add_scalar("loss", 0.5)

    backend = visualizer.get_backend("ToyVisBackend")
    assert (tmp_path / "vis_data/names").read_text() == "loss"
    assert type(backend) is toy.load() is engine_visualization.ToyVisBackend
    with pytest.raises(
        ImportError, match=r'the tracking backend toy needs no_such_.*"engine-visualization\[toy\]"'
    ):
        backend.connect()  # type: ignore[attr-defined]  # the toy's own
