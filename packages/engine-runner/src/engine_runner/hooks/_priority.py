"""Which hook goes first."""

from enum import IntEnum


class Priority(IntEnum):
    """Hook priority levels; the lower the number, the earlier the call.

    Example:
        >>> Priority.NORMAL.value
        50
    """

    HIGHEST = 0
    VERY_HIGH = 10
    HIGH = 30
    ABOVE_NORMAL = 40
    NORMAL = 50
    BELOW_NORMAL = 60
    LOW = 70
    VERY_LOW = 90
    LOWEST = 100


def get_priority(priority: int | str | Priority) -> int:
    """Return the number of a priority given as a number, a level or a level's name.

    Raises:
        ValueError: The number is outside 0 to 100, or the name is no level.
        TypeError: The priority is neither a number nor a string.
    """
    if isinstance(priority, bool) or not isinstance(priority, int | str):
        raise TypeError(
            f"a priority is an int, a level's name or a Priority, got {type(priority).__name__}"
        )
    if isinstance(priority, str):
        try:
            return Priority[priority.upper()].value
        except KeyError as error:
            raise ValueError(
                f"unknown priority {priority!r}; the levels are "
                f"{', '.join(level.name for level in Priority)}"
            ) from error
    if not 0 <= priority <= 100:
        raise ValueError(f"a priority lies between 0 (first) and 100 (last), got {priority}")
    return int(priority)
