"""Find a metric among the results of an evaluation."""

from collections.abc import Iterable


def find_metric(name: str, metrics: Iterable[str]) -> str | None:
    """Return the full name of a metric, or None if there is none or more than one.

    A name without its prefix is enough where only one metric ends with it.

    Args:
        name: The name as a setting has it, such as ``acc``.
        metrics: The full names, such as ``top/acc``.

    Example:
        >>> find_metric("acc", ["top/acc", "top/loss"])
        'top/acc'
    """
    names = list(metrics)
    if name in names:
        return name
    endings = [full for full in names if full.endswith(f"/{name}")]
    return endings[0] if len(endings) == 1 else None
