"""Show an image in a window or in a notebook."""

import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine_visualization._matplotlib import import_matplotlib


def can_open_window() -> bool:
    """Return whether this process can show a window or a notebook cell.

    It cannot without matplotlib (the extra ``plots``), on Linux without a display, and if
    matplotlib is configured with a backend that only writes files.
    """
    if "ipykernel" in sys.modules:
        return True
    # Check the display before matplotlib is imported, because the import takes a second.
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not display:
        return False
    try:
        import_matplotlib("a window")
        from matplotlib import pyplot
    except ImportError:
        return False
    return str(pyplot.get_backend()).lower() != "agg"


def show_window(
    image: np.ndarray,
    *,
    title: str,
    wait_ms: int = 0,
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
    from matplotlib.backend_bases import FigureCanvasBase

    shown = pyplot.figure(num=title, clear=True, **(figure or {}))
    axes = shown.add_axes((0, 0, 1, 1))
    axes.imshow(image)
    axes.axis("off")

    def on_key(event: Any) -> None:
        if event.key == continue_key:
            shown.canvas.stop_event_loop()

    shown.canvas.mpl_connect("key_press_event", on_key)
    shown.canvas.mpl_connect("close_event", lambda _: shown.canvas.stop_event_loop())
    pyplot.show(block=False)
    if type(shown.canvas).start_event_loop is FigureCanvasBase.start_event_loop:
        # This canvas has no event loop, as in a notebook, so nothing could end the wait.
        pyplot.close(shown)
        return
    shown.canvas.start_event_loop(wait_ms / 1000)
