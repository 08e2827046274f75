"""Read a limit of time."""

import math
import re
from datetime import timedelta
from typing import Any, TypeAlias

MaxTime: TypeAlias = str | float | timedelta
"""``"HH:MM:SS"``, ``"D-HH:MM:SS"``, a number of seconds, or a `datetime.timedelta`."""

_FORMAT = re.compile(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)")


def seconds_of(name: str, value: Any) -> float:
    """Return a limit in seconds.

    Args:
        name: The setting, for the message.
        value: See `MaxTime`.

    Raises:
        ValueError: ``value`` is of another form, or not positive.

    Example:
        >>> seconds_of("max_time", "1-02:00:30")
        93630.0
    """
    seconds = math.nan
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (found := _FORMAT.fullmatch(value.strip())):
        days, hours, minutes, rest = (int(part or 0) for part in found.groups())
        seconds = float(((days * 24 + hours) * 60 + minutes) * 60 + rest)
    if not 0 < seconds < math.inf:
        raise ValueError(
            f"{name} must be a time > 0 as 'HH:MM:SS', 'D-HH:MM:SS', seconds or a timedelta, "
            f"got {value!r}"
        )
    return seconds


def text_of(seconds: float) -> str:
    """Return seconds as ``[D-]HH:MM:SS``.

    Example:
        >>> text_of(93630.0)
        '1-02:00:30'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days}-' if days else ''}{hours:02d}:{minutes:02d}:{rest:02d}"
