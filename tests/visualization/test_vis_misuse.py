"""Errors of a visualizer, its canvas and its backends."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine_visualization import (
    BaseVisBackend,
    LocalVisBackend,
    Visualizer,
)
from engine_visualization.drawing import Canvas, draw_featmap

LOCAL = {"type": "LocalVisBackend"}
BOX = np.array([1, 1, 9, 9])


def canvas() -> Canvas:
    return Canvas(np.zeros((20, 30, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda c: c.draw_bboxes([0, np.nan, 1, 2]), ValueError, "bboxes must be finite"),
        (lambda c: c.draw_bboxes([0, 0, np.inf, 2]), ValueError, "bboxes must be finite"),
        (lambda c: c.draw_circles([1, 1], np.array([np.nan])), ValueError, "radius must be finite"),
        (lambda c: c.draw_circles([9, 9], np.array([-3])), ValueError, "radius must be >= 0"),
        (lambda c: c.draw_bboxes(BOX, line_widths=-1), ValueError, "line_widths must be >= 0"),
        (lambda c: c.draw_bboxes(BOX, line_widths=np.nan), ValueError, "finite, got nan"),
        (lambda c: c.draw_points([1, 1], sizes=-4), ValueError, "sizes must be >= 0"),
        (lambda c: c.draw_texts("a", [1, 1], font_sizes=-1), ValueError, "font_sizes must"),
        (lambda c: c.draw_polygons([[1, np.nan]]), ValueError, "polygons must be finite"),
        (lambda c: c.draw_polygons(np.array([1, 2, 3])), ValueError, r"\(2 \* N,\), got \(3,\)"),
        (lambda c: c.draw_polygons(np.zeros((2, 3))), ValueError, r"got \(2, 3\)"),
        (lambda c: c.draw_polygons(np.zeros((0, 2))), ValueError, r"got \(0, 2\)"),
        (lambda c: c.draw_bboxes(BOX, alpha=2), ValueError, "alpha must be between 0 and 1"),
        (lambda c: c.draw_bboxes(BOX, alpha=-1), ValueError, "got -1"),
        (lambda c: c.draw_binary_masks(np.ones((20, 30)), alphas=3), ValueError, "alphas must"),
        (lambda c: c.draw_texts(3, np.zeros(2)), TypeError, r"strings, got \[3\]"),
        (lambda c: c.draw_texts(["a", 1], np.zeros((2, 2))), TypeError, "strings"),
    ],
    ids=[
        "nan",
        "infinite",
        "radius",
        "negative radius",
        "negative width",
        "width of nan",
        "negative point",
        "negative font",
        "polygon of nan",
        "odd polygon",
        "solid polygon",
        "empty polygon",
        "opaque",
        "negative",
        "masks",
        "number",
        "numbers",
    ],
)
def test_canvas_with_invalid_arguments_raises_and_draws_nothing(
    draw: Callable[[Any], Any], error: type[Exception], message: str
) -> None:
    target = canvas()

    with pytest.raises(error, match=message):
        draw(target)

    assert not target.get_image().any()


def test_texts_may_be_a_tuple() -> None:
    assert canvas().draw_texts(("a", "b"), np.array([[0, 0], [15, 5]])).get_image().any()


def test_huge_circle_is_drawn() -> None:
    image = canvas().draw_circles(np.array([15 - 1e9, 10]), np.array([1e9])).get_image()

    assert image.shape == (20, 30, 3)


def test_featmap_may_be_an_array() -> None:
    maps = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)

    np.testing.assert_array_equal(draw_featmap(maps), draw_featmap(torch.from_numpy(maps)))


@pytest.mark.parametrize(
    ("shape", "alpha", "message"),
    [((0, 4, 4), 0.5, "without zeros"), ((3, 0, 4), 0.5, "without"), ((1, 4, 4), 2, "alpha must")],
    ids=["no channels", "no rows", "opaque"],
)
def test_empty_featmap_raises(shape: tuple[int, ...], alpha: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_featmap(torch.zeros(shape), alpha=alpha)


@pytest.mark.parametrize(
    ("backends", "message"),
    [
        (LOCAL, "must be a list of backends or configs, got {'type'"),
        ("LocalVisBackend", "must be a list"),
        (["LocalVisBackend"], "got 'LocalVisBackend'"),
        ([3], "got 3"),
    ],
    ids=["dict", "name", "names", "number"],
)
def test_backends_of_another_type_raise(backends: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=message):
        Visualizer(vis_backends=backends, save_dir=tmp_path)


def test_backend_name_has_no_scope(tmp_path: Path) -> None:
    visualizer = Visualizer(vis_backends=[{"type": "engine.LocalVisBackend"}], save_dir=tmp_path)

    assert isinstance(visualizer.get_backend("LocalVisBackend"), LocalVisBackend)


def test_backend_gets_every_argument_by_keyword(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def see(_: BaseVisBackend, **kwargs: Any) -> None:
        seen.append(list(kwargs))

    names = ("add_config", "add_graph", "add_image", "add_scalar", "add_scalars")
    kind: Any = type("Keywords", (BaseVisBackend,), dict.fromkeys(names, see))
    visualizer: Any = Visualizer(vis_backends=[kind(tmp_path)])
    visualizer.add_config("config")
    visualizer.add_graph("model", None)
    visualizer.add_image("name", np.zeros((2, 2, 3)))
    visualizer.add_scalar("name", 1)
    visualizer.add_scalars({"name": 1})

    assert seen == [
        ["config"],
        ["model", "data_batch"],
        ["name", "image", "step"],
        ["name", "value", "step"],
        ["scalar_dict", "step", "file_path"],
    ]


def test_local_backend_clips_values_outside_the_range_of_pixels(tmp_path: Path) -> None:
    LocalVisBackend(tmp_path).add_image("a", np.full((2, 2, 3), 300.0))

    assert np.asarray(Image.open(tmp_path / "vis_image/a_0.png")).min() == 255


def test_local_backend_raises_and_names_the_scalar_that_it_cannot_write(tmp_path: Path) -> None:
    backend = LocalVisBackend(tmp_path)

    with pytest.raises(TypeError, match="'best' is a object"):
        backend.add_scalars({"loss": 1.0, "best": object()})

    backend.close()
    assert not (tmp_path / "scalars.json").exists()


def test_show_in_a_notebook_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")  # like the backend of notebooks, it has neither window nor keys
    from matplotlib import pyplot

    # matplotlib registers with the shell, and is as before afterwards.
    monkeypatch.setattr(pyplot, "_REPL_DISPLAYHOOK", pyplot._REPL_DISPLAYHOOK)
    events = SimpleNamespace(register=lambda event, function: None)
    shell = SimpleNamespace(kernel=object(), events=events)
    monkeypatch.setitem(
        sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, version_info=(9, 0))
    )
    visualizer = Visualizer(image=np.zeros((8, 8, 3), np.uint8))

    visualizer.show()

    assert not pyplot.get_fignums()
