"""Check the integers that a user sets."""

from numbers import Real
from typing import Any


def integer(name: str, value: Any, *, at_least: int) -> int:
    """Return ``value`` as an integer; ``5.0`` counts as one.

    Args:
        name: The setting, for the message.
        value: The value of the setting.
        at_least: The least value allowed.

    Raises:
        ValueError: ``value`` is not an integer, or is less than ``at_least``.
    """
    whole = isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer()
    if not whole or value < at_least:
        raise ValueError(f"{name} must be an integer >= {at_least}, got {value!r}")
    return int(value)
