"""The errors that callers of this package may catch."""


class MetricError(RuntimeError):
    """A metric failed on the main rank; the other ranks raise this error and do not wait."""
