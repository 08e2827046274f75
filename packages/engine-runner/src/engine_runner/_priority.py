"""The order of hooks at a point."""

from enum import IntEnum


class Priority(IntEnum):
    """Levels of priority; hooks with a lower number are called earlier.

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
        ValueError: The number is outside 0 to 100, or the name is unknown.
        TypeError: The priority is neither a number nor a string.
    """
    if isinstance(priority, bool) or not isinstance(priority, int | str):
        raise TypeError(
            f"priority must be an integer, a name or a Priority, got {type(priority).__name__}"
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
        raise ValueError(f"priority must be from 0 (first) to 100 (last), got {priority}")
    return int(priority)
