"""The methods of matplotlib's axes and figure with which libraries draw on a visualizer."""

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from engine_visualization import Visualizer
from engine_visualization.drawing import (
    check_type,
    check_type_and_length,
    color_str2rgb,
    color_val_matplotlib,
    img_from_canvas,
    tensor2ndarray,
    value2list,
    wait_continue,
)

POINT = 100 / 72  # pixels


@pytest.fixture
def visualizer() -> Visualizer:
    return Visualizer(image=np.zeros((60, 80, 3), dtype=np.uint8))


def test_text_is_that_of_draw_texts(visualizer: Visualizer) -> None:
    expected = Visualizer(image=visualizer.get_image()).draw_texts(
        "cat 0.9",
        np.array([5.0, 30.0]),
        font_sizes=12 * POINT,
        colors="w",
        vertical_alignments="bottom",
        horizontal_alignments="left",
        bboxes={"facecolor": "r", "edgecolor": "none", "alpha": 0.8, "pad": 0.7 * POINT},
    )

    visualizer.ax_save.text(
        5,
        30,
        "cat 0.9",
        size=12,
        color=(1, 1, 1),
        va="bottom",
        family="sans-serif",
        bbox={"facecolor": (1, 0, 0), "ec": "none", "alpha": 0.8, "pad": 0.7},
        zorder=3,
    )

    assert visualizer.get_image().any()
    assert np.array_equal(visualizer.get_image(), expected.get_image())


@pytest.mark.parametrize(
    ("option", "other"),
    [
        ({"fontsize": 20}, {"fontsize": 8}),
        ({"size": "xx-large"}, {"size": "small"}),
        ({"ha": "right"}, {"ha": "left"}),
        ({"c": "r"}, {"c": "b"}),
        ({"bbox": {"boxstyle": "round,pad=0.3", "fc": "w"}}, {"bbox": {"fc": "w"}}),
    ],
    ids=["fontsize", "named size", "alignment", "color", "box"],
)
def test_options_of_a_text_act(
    visualizer: Visualizer, option: dict[str, Any], other: dict[str, Any]
) -> None:
    images = []
    for options in (option, other):
        visualizer.set_image(np.zeros((60, 80, 3), dtype=np.uint8))
        visualizer.ax_save.text(40, 30, "cat", **{"color": "w", **options})
        images.append(visualizer.get_image())
    assert images[0].any()
    assert not np.array_equal(images[0], images[1])


def test_options_without_effect_are_logged_once(
    visualizer: Visualizer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="engine.visualization")
    for _ in range(2):
        visualizer.ax_save.text(2, 2, "cat", rotation=30, weight="bold")
        visualizer.ax_save.axis([0, 10, 0, 10])
    assert [record.getMessage() for record in caplog.records] == [
        "options of ax_save.text without effect here: rotation, weight",
        "ax_save.axis([0, 10, 0, 10],) has no effect: the limits are the image's",
    ]


def test_axes_have_the_limits_of_the_image_and_nothing_to_hide(visualizer: Visualizer) -> None:
    assert visualizer.ax_save.axis(False) == (-0.5, 79.5, 59.5, -0.5)
    assert visualizer.ax_save.axis("off") == visualizer.ax_save.axis()
    with pytest.raises(AttributeError, match=r"ax_save has text, .* and not 'plot'; draw with"):
        visualizer.ax_save.plot([0, 1], [0, 1])
    assert not visualizer.get_image().any()


def half(shape: tuple[int, ...], value: float) -> np.ndarray:
    image = np.zeros(shape, dtype=np.asarray(value).dtype)
    image[: shape[0] // 2] = value
    return image


@pytest.mark.parametrize(
    ("image", "options", "top", "bottom"),
    [
        (half((60, 80, 3), 200), {}, 200, 0),
        (half((60, 80, 3), 0.5), {}, 128, 0),
        (half((60, 80, 3), 200), {"alpha": 0.5}, 100, 0),
        (half((60, 80, 3), 200), {"origin": "lower"}, 0, 200),
        (half((6, 8, 3), 200), {"extent": (0, 80, 60, 0), "interpolation": "nearest"}, 200, 0),
        (half((60, 80, 4), 200), {}, 157, 0),
        (half((60, 80), 7), {"cmap": "gray"}, 255, 0),
        (half((60, 80), 7), {"cmap": "gray", "vmin": 0, "vmax": 14}, 127, 0),
    ],
    ids=["8 bit", "float", "alpha", "origin", "extent", "rgba", "one channel", "limits"],
)
def test_imshow_draws_the_image(
    visualizer: Visualizer, image: np.ndarray, options: dict[str, Any], top: int, bottom: int
) -> None:
    visualizer.ax_save.imshow(image, **options)
    drawn = visualizer.get_image()
    assert drawn.shape == (60, 80, 3)
    assert drawn[10, 40].tolist() == pytest.approx([top] * 3, abs=1)
    assert drawn[50, 40].tolist() == pytest.approx([bottom] * 3, abs=1)


def test_imshow_without_an_image_sets_it() -> None:
    visualizer = Visualizer()
    visualizer.ax_save.imshow(np.full((4, 6, 3), 9, dtype=np.uint8))
    assert (visualizer.width, visualizer.height) == (6, 4)
    assert (visualizer.get_image() == 9).all()
    with pytest.raises(ValueError, match=r"X must have shape .*, got \(4, 6, 2\)"):
        visualizer.ax_save.imshow(np.zeros((4, 6, 2)))


@pytest.mark.parametrize(
    ("make", "draw"),
    [
        (
            lambda: PatchCollection(
                [Rectangle((10, 10), 30, 20), Polygon([[50, 5], [70, 5], [60, 50]])],
                facecolors=[(1, 0, 0, 0.5), "none"],
                edgecolors=["g", "b"],
                linewidths=[1.44, 2.88],
            ),
            lambda v: v.draw_bboxes(
                np.array([10, 10, 40, 30]), "g", "-", 2, np.array([1, 0, 0, 0.5]), 1
            ).draw_polygons(np.array([[50, 5], [70, 5], [60, 50]]), "b", "-", 4, alpha=1),
        ),
        (
            lambda: LineCollection(
                [[(5, 5), (60, 40)], [(5, 50), (60, 50)]], colors=["r", "c"], linewidths=1.44
            ),
            lambda v: v.draw_lines(
                np.array([[5, 60], [5, 60]]), np.array([[5, 40], [50, 50]]), ["r", "c"]
            ),
        ),
    ],
    ids=["patches", "lines"],
)
def test_collections_are_those_of_the_drawing_methods(
    visualizer: Visualizer, make: Callable[[], Any], draw: Callable[[Visualizer], Any]
) -> None:
    expected = Visualizer(image=visualizer.get_image())
    draw(expected)

    visualizer.ax_save.add_collection(make())

    found = visualizer.get_image().astype(int)
    assert found.any()
    assert np.abs(found - expected.get_image()).mean() < 1.0
    assert (found.any(axis=2) == expected.get_image().any(axis=2)).mean() > 0.98


def test_markers_of_a_scatter_are_at_their_places(visualizer: Visualizer) -> None:
    axes = Figure().add_subplot()
    markers = axes.scatter([20, 60], [15, 45], s=36, c=["r", "b"])
    markers.remove()

    visualizer.ax_save.add_collection(markers)

    image = visualizer.get_image()
    assert image[15, 20].tolist() == [255, 0, 0]
    assert image[45, 60].tolist() == [0, 0, 255]
    assert 40 < image[:30].any(axis=2).sum() < 110  # a circle of 6 points, 8.3 pixels


def test_figure_gives_size_and_pixels(visualizer: Visualizer, tmp_path: Path) -> None:
    visualizer.ax_save.text(5, 5, "cat", color="w", va="top")
    image = visualizer.get_image()

    assert np.array_equal(img_from_canvas(visualizer.fig_save_canvas), image)
    assert visualizer.fig_save.get_dpi() == visualizer.dpi
    assert visualizer.fig_save.get_size_inches().tolist() == [0.8, 0.6]
    visualizer.fig_save.set_size_inches(0.8 + 1e-2 / 100, 0.6 + 1e-2)
    assert np.array_equal(visualizer.get_image(), image)
    visualizer.fig_save.set_size_inches((1.6, 1.2))
    assert visualizer.get_image().shape == (120, 160, 3)
    assert (visualizer.width, visualizer.height) == (160, 120)
    visualizer.fig_save.savefig(str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").stat().st_size
    copied = copy.deepcopy(visualizer)
    copied.ax_save.text(50, 50, "dog", color="r")
    assert not np.array_equal(copied.get_image(), visualizer.get_image())


def test_arguments_are_checked_and_repeated() -> None:
    check_type("bboxes", np.zeros(4), (np.ndarray, list))
    check_type_and_length("colors", ["r", "g"], (str, list), 2)
    assert value2list(2, (int, float), 3) == [2, 2, 2]
    assert value2list([1, 2], (int, float), 2) == [1, 2]
    assert color_val_matplotlib((255, 0, 0)) == (1.0, 0.0, 0.0)
    assert color_str2rgb("orange") == (255, 165, 0)
    assert isinstance(tensor2ndarray(np.zeros(1)), np.ndarray)
    with pytest.raises(TypeError, match="colors must be a name, a tuple from 0 to 255 or a list"):
        color_val_matplotlib(3)  # type: ignore[arg-type]  # a wrong value
    with pytest.raises(ValueError, match="color must have red, green and blue, got 'none'"):
        color_str2rgb("none")


def test_wait_ends_at_once_without_an_event_loop() -> None:
    assert wait_continue(Figure(), timeout=0.1) == 0
