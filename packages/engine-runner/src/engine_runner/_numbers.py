"""Numbers that a user sets."""

from numbers import Real
from typing import Any


def whole_number(name: str, value: Any, *, at_least: int) -> int:
    """Return ``value`` as an integer; ``5.0`` counts as one.

    Args:
        name: What the number is, for the message.
        value: What the user wrote.
        at_least: The least value allowed.

    Raises:
        ValueError: ``value`` is no whole number, or less than ``at_least``.
    """
    whole = isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer()
    if not whole or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}, got {value!r}")
    return int(value)
