"""Log what is not drawn, once per field and reason."""

import logging
from typing import Any

_logger = logging.getLogger("engine.visualization")


class NotDrawable(ValueError):
    """The reason why a field is not drawn, and the way out."""


class Notices:
    """Log each pair of field and reason once.

    Example:
        >>> notices = Notices()
        >>> notices.add("gt_depth", None, "must be a map; pass one")
        >>> len(notices.logged)
        1
    """

    def __init__(self) -> None:
        self.logged: set[tuple[str, str]] = set()

    def add(self, field: str, value: Any, reason: str) -> None:
        """Log that a field is not drawn."""
        if (field, reason) not in self.logged:
            self.logged.add((field, reason))
            _logger.warning("%s %s is not drawn: %s", field, described(value), reason)


def described(value: Any) -> str:
    """Return the type of a value, with shape, dtype and device where it has them."""
    tensor = getattr(value, "tensor", value)
    shape = getattr(tensor, "shape", None)
    if not isinstance(shape, tuple):
        return f"({type(value).__name__})"
    parts = [type(value).__name__, f"shape {tuple(shape)}", str(getattr(tensor, "dtype", ""))]
    device = getattr(tensor, "device", None)
    # NumPy's arrays have a device, too, from NumPy 2.
    parts += [f"on {device}"] if device is not None and hasattr(tensor, "detach") else []
    return f"({', '.join(part for part in parts if part)})"
