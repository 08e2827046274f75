"""Find the names most similar to a misspelled name."""

from collections.abc import Iterable


def closest_name(name: object, names: Iterable[object], *, likeness: float = 0.6) -> str | None:
    """Return the name most similar to ``name``, or None if none is similar enough.

    Upper and lower case are not distinguished.

    Args:
        name: The text as written.
        names: The candidates; those that are not strings are skipped.
        likeness: The least similarity, from 0 (anything) to 1 (equal).

    Example:
        >>> closest_name("max_epoch", ["max_epochs", "max_iters"])
        'max_epochs'
    """
    return next(iter(closest_names(name, names, count=1, likeness=likeness)), None)


def closest_names(
    name: object, names: Iterable[object], *, count: int = 3, likeness: float = 0.6
) -> list[str]:
    """Return at most ``count`` names similar to ``name``, the most similar first.

    Upper and lower case are not distinguished.

    Args:
        name: The text as written.
        names: The candidates; those that are not strings are skipped.
        count: The maximum number of names to return.
        likeness: The least similarity, from 0 (anything) to 1 (equal).

    Example:
        >>> closest_names("sgd", ["Adam", "SGD", "ASGD"])
        ['SGD', 'ASGD']
    """
    # Imported here: only error messages need difflib, which imports slower than this package.
    import difflib

    by_lower: dict[str, list[str]] = {}
    for other in names:
        if isinstance(other, str) and other not in by_lower.setdefault(other.lower(), []):
            by_lower[other.lower()].append(other)
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=count, cutoff=likeness)
    return [other for lower in close for other in by_lower[lower]][:count]


def did_you_mean(name: object, names: Iterable[object], *, likeness: float = 0.6) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest name, or an empty string.

    Args:
        name: The text as written.
        names: The candidates.
        likeness: The least similarity, from 0 (anything) to 1 (equal).

    Example:
        >>> did_you_mean("lrr", ["lr", "momentum"])
        "; did you mean 'lr'?"
    """
    close = closest_name(name, names, likeness=likeness)
    return f"; did you mean {close!r}?" if close else ""
