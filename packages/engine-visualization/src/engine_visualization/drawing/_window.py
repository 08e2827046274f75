"""Show an image in a window or in a notebook."""

import os
import sys
from collections.abc import Mapping
from time import monotonic
from typing import Any, Literal, TypeAlias

import numpy as np

from engine_utils import import_extra, notebook_shell
from engine_visualization._matplotlib import import_matplotlib

Library: TypeAlias = Literal["matplotlib", "cv2"]

_STEP_MS = 100


def can_open_window(backend: Library = "matplotlib") -> bool:
    """Return whether this process can show a window or a notebook cell.

    It cannot without a display on Linux. With matplotlib, it cannot without that library (the extra
    ``plots``), and if matplotlib is configured with a backend that only writes files.

    Args:
        backend: The library that shows the window.
    """
    if backend == "matplotlib" and notebook_shell() is not None:
        return True
    # Check the display before a library is imported, because the import takes a second.
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not display:
        return False
    if backend == "cv2":
        return True
    try:
        import_matplotlib("a window")
        from matplotlib import pyplot
    except ImportError:
        return False
    return str(pyplot.get_backend()).lower() != "agg"


def show_cv2_window(
    image: np.ndarray,
    *,
    title: str,
    wait_ms: float = 0,
    continue_key: str = " ",
    figure: Mapping[str, Any] | None = None,
) -> None:
    """Show an RGB image in a window of OpenCV until a key is pressed, or the time is over.

    Args:
        image: RGB image ``(H, W, 3)``, uint8.
        title: The window's title.
        wait_ms: Time in milliseconds after which the window closes; never if 0.
        continue_key: The key that ends the wait.
        figure: Unused: OpenCV has no figure.

    Raises:
        ImportError: OpenCV cannot be imported.
    """
    cv2 = import_extra("cv2", install="opencv-python", purpose="show(backend='cv2')")
    cv2.namedWindow(title, cv2.WINDOW_NORMAL)
    cv2.imshow(title, image[..., ::-1].copy())  # OpenCV shows BGR
    ends = None if wait_ms <= 0 else monotonic() + wait_ms / 1000
    while cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1:
        # In short steps: OpenCV does not end its wait when the window is closed.
        left = _STEP_MS if ends is None else min(_STEP_MS, (ends - monotonic()) * 1000)
        if left <= 0 or cv2.waitKey(max(1, round(left))) & 0xFF == ord(continue_key[:1] or " "):
            break
    if cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1:
        cv2.destroyWindow(title)


def show_window(
    image: np.ndarray,
    *,
    title: str,
    wait_ms: float = 0,
    continue_key: str = " ",
    figure: Mapping[str, Any] | None = None,
) -> None:
    """Show an RGB image until a key is pressed, the time is over, or the window is closed.

    A notebook shows the image below the cell and does not wait.

    Args:
        image: RGB image ``(H, W, 3)``, uint8.
        title: The window's title.
        wait_ms: Time in milliseconds after which the window closes; never if 0.
        continue_key: The key that ends the wait.
        figure: Arguments of the matplotlib figure.
    """
    import_matplotlib("a window")
    from matplotlib import pyplot

    shown = pyplot.figure(num=title, clear=True, **(figure or {}))
    axes = shown.add_axes((0, 0, 1, 1))
    axes.imshow(image)
    axes.axis("off")
    pyplot.show(block=False)
    wait_continue(shown, timeout=wait_ms / 1000, continue_key=continue_key)


def wait_continue(figure: Any, timeout: float = 0, continue_key: str = " ") -> int:
    """Wait until a key is pressed in a figure of matplotlib, or it is closed, or the time is over.

    A figure without an event loop, as in a notebook, is closed at once.

    Args:
        figure: The figure, whose window is open.
        timeout: The time in seconds; 0 for no limit.
        continue_key: The key that ends the wait.

    Returns:
        1 if the window was closed, otherwise 0.
    """
    import_matplotlib("a window")
    from matplotlib import pyplot
    from matplotlib.backend_bases import FigureCanvasBase

    canvas, is_closed = figure.canvas, False
    if type(canvas).start_event_loop is FigureCanvasBase.start_event_loop:
        pyplot.close(figure)
        return 0

    def on_key(event: Any) -> None:
        if event.key == continue_key:
            canvas.stop_event_loop()

    def on_close(event: Any) -> None:
        nonlocal is_closed
        is_closed = True
        canvas.stop_event_loop()

    followed = [
        canvas.mpl_connect("key_press_event", on_key),
        canvas.mpl_connect("close_event", on_close),
    ]
    canvas.start_event_loop(timeout)
    for connection in followed:
        canvas.mpl_disconnect(connection)
    return int(is_closed)
