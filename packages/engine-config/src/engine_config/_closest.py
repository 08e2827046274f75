"""The name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def closest(name: object, names: Iterable[object], *, likeness: float = 0.6) -> str | None:
    """Return the name most like a given one, or None when none is at least so much alike.

    Args:
        name: what was written.
        names: what could have been meant; those that are not strings are left out.
        likeness: from 0, anything, to 1, equal.
    """
    import difflib  # only mistakes need it

    known = [other for other in names if isinstance(other, str)]
    return next(iter(difflib.get_close_matches(str(name), known, n=1, cutoff=likeness)), None)
