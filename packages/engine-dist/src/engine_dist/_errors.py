"""The errors that callers of engine-dist may catch."""

from collections.abc import Mapping


class DistError(RuntimeError):
    """The base of the errors that this package defines."""


class RankLost(DistError):
    """A collective failed because other ranks died, left, or never arrived.

    Attributes:
        operation: The operation of this rank that failed, such as ``"all_reduce"``.
        reasons: What happened to each rank to blame, by its global number. Empty when every rank
            still answers, which points at the network between them.

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
        """The global ranks to blame, ascending."""
        return tuple(sorted(self.reasons))


class RanksDisagree(DistError, ValueError):
    """Ranks entered the same collective with arguments that do not match."""
