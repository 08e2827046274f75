"""Check and convert the arguments of drawing methods, for visualizers that draw with matplotlib."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from engine_visualization.drawing._colors import parse_color
from engine_visualization.drawing._values import to_numpy

Types: TypeAlias = type | tuple[type, ...]
MatplotlibColor: TypeAlias = str | tuple[float, ...]


def check_type(name: str, value: Any, valid_type: Types) -> None:
    """Check the type of an argument.

    Args:
        name: Its name, for the message.
        value: Its value.
        valid_type: The type, or a tuple of types.

    Raises:
        TypeError: ``value`` has another type.

    Example:
        >>> check_type("radius", "3", (int, float))
        Traceback (most recent call last):
        ...
        TypeError: radius must be of type int or float, got str
    """
    if not isinstance(value, valid_type):
        raise TypeError(f"{name} must be of type {_names(valid_type)}, got {type(value).__name__}")


def check_type_and_length(name: str, value: Any, valid_type: Types, valid_length: int) -> None:
    """Check the type of an argument, and the length of a list of one value per shape.

    Args:
        name: Its name, for the message.
        value: Its value.
        valid_type: The type, or a tuple of types.
        valid_length: The number of shapes, which is the length of a list.

    Raises:
        TypeError: ``value`` has another type.
        ValueError: ``value`` is a list of another length.

    Example:
        >>> check_type_and_length("colors", ["r", "g"], (str, list), 3)
        Traceback (most recent call last):
        ...
        ValueError: colors must be a list of 3, got 2
    """
    check_type(name, value, valid_type)
    if isinstance(value, list) and len(value) != valid_length:
        raise ValueError(f"{name} must be a list of {valid_length}, got {len(value)}")


def value2list(value: Any, valid_type: Types, expand_dim: int) -> Any:
    """Return a list that repeats a value, or the value itself if it is of another type.

    Args:
        value: One value, or a list with one per shape.
        valid_type: The type, or types, of one value.
        expand_dim: The number of shapes.

    Example:
        >>> value2list("r", str, 2), value2list(["r", "g"], str, 2)
        (['r', 'r'], ['r', 'g'])
    """
    return [value] * expand_dim if isinstance(value, valid_type) else value


def tensor2ndarray(value: Any) -> Any:
    """Return a tensor on any device as a NumPy array, and any other value as it is.

    Args:
        value: The tensor, array or other value.

    Example:
        >>> import torch
        >>> tensor2ndarray(torch.ones(2)), tensor2ndarray([1, 2])
        (array([1., 1.], dtype=float32), [1, 2])
    """
    return to_numpy(value) if hasattr(value, "detach") else value


def color_str2rgb(color: str) -> tuple[int, int, int]:
    """Return a named color as red, green and blue from 0 to 255.

    Args:
        color: A color as drawing methods take it, such as ``"orange"`` or ``"#ff7f0e"``.

    Raises:
        ValueError: The color is unknown, or ``"none"``.

    Example:
        >>> color_str2rgb("r")
        (255, 0, 0)
    """
    parsed = parse_color(color)
    if parsed is None:
        raise ValueError(f"color must have red, green and blue, got {color!r}")
    return parsed[:3]


def color_val_matplotlib(
    colors: str | Sequence[float] | Sequence[str | Sequence[float]],
) -> MatplotlibColor | list[MatplotlibColor]:
    """Return colors from 0 to 255 as matplotlib takes them, from 0 to 1.

    Args:
        colors: A name, red, green and blue from 0 to 255, or a list of these.

    Returns:
        A name as it is, and numbers divided by 255.

    Raises:
        TypeError: A color has another type.

    Example:
        >>> color_val_matplotlib([(255, 0, 51), "g"])
        [(1.0, 0.0, 0.2), 'g']
    """
    if isinstance(colors, str):
        return colors
    if isinstance(colors, tuple):
        return tuple(float(channel) / 255 for channel in colors)
    if isinstance(colors, list):
        # One level: each color of a list is itself a name or a tuple.
        return [color_val_matplotlib(color) for color in colors]  # type: ignore[misc]
    raise TypeError(
        f"colors must be a name, a tuple from 0 to 255 or a list of these, got {colors!r}"
    )


def img_from_canvas(canvas: Any) -> np.ndarray:
    """Return the picture on a canvas of matplotlib as RGB ``(H, W, 3)``, uint8.

    Args:
        canvas: A `FigureCanvasAgg`, or the ``fig_save_canvas`` of a visualizer.

    Example:
        >>> from matplotlib.backends.backend_agg import FigureCanvasAgg
        >>> from matplotlib.figure import Figure
        >>> img_from_canvas(FigureCanvasAgg(Figure(figsize=(2, 1), dpi=50))).shape
        (50, 100, 3)
    """
    buffer, (width, height) = canvas.print_to_buffer()
    pixels = np.frombuffer(buffer, dtype=np.uint8).reshape(height, width, 4)
    return pixels[..., :3].copy()


def _names(types: Types) -> str:
    several = types if isinstance(types, tuple) else (types,)
    return " or ".join(kind.__name__ for kind in several)
