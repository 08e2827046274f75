"""The errors that callers of this package may catch."""


class MetricError(RuntimeError):
    """A metric failed on the main rank. The other ranks raise this, so that none waits for it."""
