"""What callers of this package may want to catch."""


class MetricError(RuntimeError):
    """A metric failed on the main rank; raised on the other ranks, so that none waits for it."""
