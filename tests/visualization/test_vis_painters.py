"""What each painter must draw, and how one is chosen."""

import subprocess
import sys
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tests.visualization.golden_scenes import GOLDEN, SCENES, render
from torch.nn import functional

from engine_visualization import Visualizer
from engine_visualization.drawing import Canvas, PainterName, draw_featmap
from engine_visualization.drawing._surface import find_painter

PAINTERS: list[PainterName] = ["opencv", "pillow"]
both = pytest.mark.parametrize("painter", PAINTERS)

# The mean difference of all values, and the share of pixels that may differ by more than 64: the
# libraries decide differently about pixels at the edge of a shape.
MEAN, LARGE, SHARE = 1.0, 64, 0.01


@pytest.fixture
def fresh_choice() -> Iterator[None]:
    """Choose the painter anew in the test and after it."""
    find_painter.cache_clear()
    yield
    find_painter.cache_clear()


@both
@pytest.mark.parametrize("scene", SCENES)
def test_painter_draws_the_golden_picture(scene: str, painter: PainterName) -> None:
    golden = np.asarray(Image.open(GOLDEN / f"{scene}.png"))

    drawn = render(scene, painter)

    assert drawn.shape == golden.shape
    differences = np.abs(drawn.astype(int) - golden)
    share = (differences.max(axis=2) > LARGE).mean()
    is_same = differences.mean() <= MEAN and share <= SHARE
    assert is_same, (
        f"{painter} draws {scene} differently: mean {differences.mean():.2f}, {share:.1%} of the "
        "pixels by far. If that is right, look at the pictures that "
        "python -m tests.visualization.golden_scenes writes to golden/"
    )


def test_golden_pictures_are_those_of_the_scenes() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(SCENES)


@both
def test_shapes_without_antialiasing_have_one_color(painter: PainterName) -> None:
    canvas = Canvas(np.zeros((60, 80, 3), np.uint8), antialias=False, painter=painter)
    canvas.draw_circles(np.array([40.3, 30.7]), np.array([20]), "r", "--", 3, "none", 1)
    canvas.draw_lines(np.array([3, 77]), np.array([3, 50]), "r", "-", 1)
    canvas.draw_texts("cat", np.array([5, 40]), 14, "r")

    assert np.unique(canvas.get_image()[..., 0]).tolist() == [0, 255]


@both
def test_thin_line_without_antialiasing_has_no_gaps(painter: PainterName) -> None:
    canvas = Canvas(np.zeros((60, 80, 3), np.uint8), antialias=False, painter=painter)
    canvas.draw_lines(np.array([5, 75]), np.array([10.5, 43.2]), "w", "-", 1)

    drawn = np.asarray(canvas.get_image().any(axis=(0, 2)))
    assert drawn[6:74].all()


@both
def test_width_of_a_line_is_that_of_its_argument(painter: PainterName) -> None:
    for width in (1, 2, 3, 6):
        canvas = Canvas(np.zeros((90, 90), np.uint8), painter=painter)
        canvas.draw_lines(np.array([5, 85]), np.array([20, 60]), "w", "-", width)

        across = canvas.get_image()[:, 30:60, 0].sum() / 255 / 30 * np.cos(np.arctan(0.5))
        assert across == pytest.approx(width, abs=0.35)


@both
def test_boxes_at_the_border_show_all_sides(painter: PainterName) -> None:
    canvas = Canvas(np.zeros((40, 60, 3), np.uint8), painter=painter)
    image = canvas.draw_bboxes(np.array([0, 0, 60, 40]), "w", alpha=1).get_image()

    for side in (image[0], image[-1], image[:, 0], image[:, -1]):
        assert (side == 255).all()
    assert not image[2:-2, 2:-2].any()


@both
def test_text_color_may_be_translucent(painter: PainterName) -> None:
    canvas = Canvas(np.zeros((40, 60, 3), np.uint8), painter=painter)

    assert canvas.draw_texts("██", np.array([5, 5]), 20, "#ffffff80").get_image().max() == 128


@both
@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
def test_masks_may_have_any_type_and_memory_order(painter: PainterName, kind: type) -> None:
    inside: np.ndarray = np.zeros((2, 40, 60), dtype=kind)
    inside[0, 3:9, 5:30], inside[1, 20:, 40:] = 1, 1
    images = [
        Canvas(np.zeros((40, 60)), painter=painter).draw_binary_masks(masks, "w", 1).get_image()
        for masks in (inside, np.asfortranarray(inside), inside[::-1])
    ]

    for image in images:
        assert np.array_equal(image[..., 0] == 255, inside.any(axis=0))


@both
@pytest.mark.parametrize("shape", [(37, 50), (6, 9), (1, 30)], ids=["larger", "smaller", "flat"])
def test_featmap_is_resized_as_by_torch(painter: PainterName, shape: tuple[int, int]) -> None:
    maps = torch.rand(3, 12, 20, generator=torch.Generator().manual_seed(0))
    resized = functional.interpolate(maps[None], size=shape, mode="bilinear")[0]
    span = resized.max() - resized.min()
    expected = ((resized - resized.min()) / span * 255).permute(1, 2, 0).numpy()

    drawn = draw_featmap(maps, channel_reduction=None, topk=0, resize_shape=shape, painter=painter)

    assert np.abs(drawn - expected).max() < 1.5


def test_featmap_chooses_the_channel_with_the_largest_resized_sum() -> None:
    maps = torch.zeros(2, 2, 3)
    maps[0, :, 1], maps[1, :, 0] = 1.0, 0.95  # the second one grows more, as it is at the border
    resized = functional.interpolate(maps[None], size=(2, 4), mode="bilinear")[0]
    assert resized.sum((1, 2)).argmax() == 1

    for featmap in (maps, maps.numpy()):
        drawn = draw_featmap(featmap, channel_reduction="select_max", resize_shape=(2, 4))
        assert drawn[0].astype(int).sum(axis=1).argmax() == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_featmap_that_is_not_finite_raises(value: float) -> None:
    maps = np.zeros((2, 4, 4), np.float32)
    maps[1, 2, 3] = value

    with pytest.raises(ValueError, match="featmap must be finite"):
        draw_featmap(maps)


def test_unknown_painter_raises_before_it_draws() -> None:
    with pytest.raises(ValueError, match="painter must be 'opencv', 'pillow' or None, got 'cairo'"):
        Visualizer(painter="cairo")  # type: ignore[arg-type]  # a wrong value


def test_opencv_draws_where_it_is_installed() -> None:
    assert find_painter().name == "opencv"
    assert Visualizer(image=np.zeros((9, 9)), painter="pillow", antialias=False).width == 9


@pytest.mark.usefixtures("fresh_choice")
def test_pillow_draws_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "engine_visualization.drawing._opencv", raising=False)
    monkeypatch.setitem(sys.modules, "cv2", None)  # the import of cv2 fails now

    assert find_painter().name == "pillow"
    with pytest.raises(ImportError, match=r'run: pip install "engine-visualization\[opencv\]"'):
        find_painter("opencv")


def test_threads_of_opencv_stay_as_they_are() -> None:
    threads = cv2.getNumThreads()
    canvas = Canvas(np.zeros((90, 90, 3), np.uint8), painter="opencv")
    canvas.draw_binary_masks(np.ones((3, 90, 90))).draw_circles(np.array([9, 9]), np.array([5]))

    assert cv2.getNumThreads() == threads


def test_libraries_that_draw_are_loaded_by_the_first_image() -> None:
    code = """
import sys, numpy as np
from engine_visualization.drawing import Canvas
canvas = Canvas()
assert not {"cv2", "PIL"} & set(sys.modules)
Canvas(np.zeros((9, 9)), painter="pillow").draw_bboxes(np.array([1, 1, 5, 5]))
assert "cv2" not in sys.modules
canvas.set_image(np.zeros((9, 9)))
assert "cv2" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
