"""The intervals of a validation that change on the way."""

from collections.abc import Sequence

from engine_runner._integer import integer


def calc_dynamic_intervals(
    start_interval: int, dynamic_interval_list: Sequence[tuple[int, int]] | None = None
) -> tuple[list[int], list[int]]:
    """Return the milestones, of which the first is 0, and the interval from each on.

    Args:
        start_interval: The interval from the start.
        dynamic_interval_list: ``(milestone, interval)`` pairs that change it, in order.

    Raises:
        ValueError: An interval is not an integer >= 1, or the milestones are not in order.

    Example:
        >>> calc_dynamic_intervals(5, [(20, 2), (30, 1)])
        ([0, 20, 30], [5, 2, 1])
    """
    pairs = [(0, start_interval), *(dynamic_interval_list or ())]
    milestones = [milestone for milestone, _ in pairs]
    if milestones != sorted(milestones):
        raise ValueError(f"dynamic_intervals must be ordered by milestone, got {milestones[1:]}")
    intervals = [integer("a validation interval", each, at_least=1) for _, each in pairs]
    return milestones, intervals
