"""The name that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: str, names: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """Return the name most like a given one, or ``None`` where none is at least so much alike.

    Args:
        name: What was written.
        names: What could have been meant.
        likeness: From 0, anything, to 1, equal.
    """
    return next(iter(get_close_matches(name, list(names), n=1, cutoff=likeness)), None)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the end of a message that asks for the closest name; empty where there is none."""
    meant = closest(name, names)
    return f"; did you mean {meant!r}?" if meant else ""
