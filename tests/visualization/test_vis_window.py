"""Fonts of texts, and the windows of OpenCV."""

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine_visualization import Visualizer

Font = Any


@pytest.fixture
def fonts() -> Font:
    """Matplotlib's manager of fonts."""
    return pytest.importorskip("matplotlib.font_manager")


def written(blank: np.ndarray, **fonts: Any) -> np.ndarray:
    """Return an image with two texts."""
    places = np.array([[2, 2], [2, 30]])
    texts = ["Wide", "Tall"]
    return Visualizer(image=blank).draw_texts(texts, places, 14, "w", **fonts).get_image()


def test_font_properties_choose_the_font(blank: np.ndarray, fonts: Font) -> None:
    properties = fonts.FontProperties(family="DejaVu Serif", weight="bold")
    path = fonts.findfont(properties)

    found = written(blank, font_properties=properties)

    assert np.array_equal(found, written(blank, font_properties=path))
    assert np.array_equal(found, written(blank, font_properties=[properties, Path(path)]))
    of_file = fonts.FontProperties(fname=path)
    assert np.array_equal(found, written(blank, font_properties=of_file))
    assert not np.array_equal(found, written(blank))


@pytest.mark.parametrize(
    ("properties", "error", "message"),
    [
        ("no_such.ttf", FileNotFoundError, "font_properties must name a font that exists, got 'no"),
        (3, TypeError, "font_properties must be the path of a font or a FontProperties.*got 3"),
        (["a.ttf"], ValueError, "font_properties"),
    ],
    ids=["file", "kind", "number"],
)
def test_font_properties_that_are_no_font_raise(
    blank: np.ndarray, properties: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        written(blank, font_properties=properties)


class OpenCV(SimpleNamespace):
    """The functions of OpenCV that open a window; this machine has no display."""

    WINDOW_NORMAL, WND_PROP_VISIBLE = 0, 4

    def __init__(self, keys: list[int], visible: int = 1000) -> None:
        super().__init__(keys=keys, visible=visible, shown=[], waits=[], closed=[])

    def namedWindow(self, title: str, flags: int) -> None:  # noqa: N802
        self.title = title

    def imshow(self, title: str, image: np.ndarray) -> None:
        self.shown.append(image)

    def getWindowProperty(self, title: str, which: int) -> float:  # noqa: N802
        self.visible -= 1
        return float(self.visible >= 0)

    def waitKey(self, milliseconds: int) -> int:  # noqa: N802
        self.waits.append(milliseconds)
        if self.keys:
            return int(self.keys.pop(0))
        time.sleep(milliseconds / 1000)
        return -1

    def destroyWindow(self, title: str) -> None:  # noqa: N802
        self.closed.append(title)


@pytest.mark.parametrize(
    ("opencv", "wait_time", "waits", "closed"),
    [
        (OpenCV([ord("x"), -1, ord("q")]), 0, 3, ["cat"]),
        (OpenCV([], visible=2), 0, 2, []),
        (OpenCV([]), 0.5, 2, ["cat"]),
    ],
    ids=["key", "closed by the user", "time"],
)
def test_show_with_opencv_waits_for_key_time_or_user(
    monkeypatch: pytest.MonkeyPatch,
    blank: np.ndarray,
    opencv: OpenCV,
    wait_time: float,
    waits: int,
    closed: list[str],
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", opencv)
    monkeypatch.setenv("DISPLAY", ":7")
    image = blank.copy()
    image[..., 0] = 200

    Visualizer().show(image, "cat", wait_time, continue_key="q", backend="cv2")

    (shown,) = opencv.shown
    assert shown[0, 0].tolist() == [0, 0, 200]
    assert opencv.title == "cat"
    assert 1 <= len(opencv.waits) <= waits
    assert opencv.closed == closed


def test_show_with_another_backend_or_without_opencv_raises(
    monkeypatch: pytest.MonkeyPatch, blank: np.ndarray
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setenv("DISPLAY", ":7")

    with pytest.raises(ImportError, match='run: pip install "opencv-python"'):
        Visualizer(image=blank).show(backend="cv2")
    with pytest.raises(ValueError, match="backend must be 'matplotlib' or 'cv2', got 'qt'"):
        Visualizer(image=blank).show(backend="qt")  # type: ignore[arg-type]  # a wrong value
