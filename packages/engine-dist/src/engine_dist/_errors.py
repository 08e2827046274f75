"""The errors that callers of engine-dist may catch."""

from collections.abc import Mapping


class DistError(RuntimeError):
    """Base class of the errors of this package."""


class RankLost(DistError):
    """A collective failed because other ranks died, left, or never arrived.

    Attributes:
        operation: The operation of this rank that failed, such as ``"all_reduce"``.
        reasons: The reason for each lost rank, by global rank. It is empty if every rank still
            answers; then the network is the likely cause.

    Example:
        >>> error = RankLost("all_reduce", {2: "died of ValueError: bad sample"})
        >>> error.ranks
        (2,)
        >>> print(error)
        all_reduce failed: rank 2 died of ValueError: bad sample
    """

    def __init__(self, operation: str, reasons: Mapping[int, str], hint: str = "") -> None:
        self.operation = operation
        self.reasons = dict(reasons)
        blamed = "; ".join(f"rank {rank} {reason}" for rank, reason in sorted(self.reasons.items()))
        super().__init__(f"{operation} failed: {blamed or hint}")

    @property
    def ranks(self) -> tuple[int, ...]:
        """The lost global ranks, ascending."""
        return tuple(sorted(self.reasons))


class RanksDisagree(DistError, ValueError):
    """Ranks entered the same collective with arguments that do not match."""
