"""Monitor a collective: its failure becomes an error that names the lost ranks."""

from types import TracebackType

import torch.distributed as torch_dist

from engine_dist.watch._broken import is_broken
from engine_dist.watch._monitor import RankMonitor
from engine_dist.watch._process import current_monitor


class guard_collective:  # noqa: N801  # used like a function, as those of contextlib
    """Monitor a collective: its failure becomes `RankLost`, which names the lost ranks.

    Every collective of this package is monitored. Use this around other collectives, such as the
    backward pass of a wrapped model. Errors pass unchanged unless `init_dist` started the group.

    Args:
        operation: The name of the collective in messages.
        group: The process group it works on; None for all ranks.

    Raises:
        RankLost: A collective inside failed because of other ranks.

    Example:
        >>> import torch
        >>> weight = torch.ones(1, requires_grad=True)
        >>> with guard_collective("backward"):
        ...     (2 * weight).sum().backward()
        >>> weight.grad
        tensor([2.])
    """

    # A class with slots, because `contextlib.contextmanager` takes three times as long per
    # collective.
    __slots__ = ("_group", "_monitor", "_operation")

    def __init__(self, operation: str, group: torch_dist.ProcessGroup | None = None) -> None:
        self._operation, self._group = operation, group
        self._monitor: RankMonitor | None = None

    def __enter__(self) -> None:
        self._monitor = current_monitor()
        if self._monitor is not None:
            self._monitor.enter(self._operation)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._monitor is None:
            return
        if error is None or not is_broken(error):
            self._monitor.leave()
            return
        ranks = torch_dist.get_process_group_ranks(self._group)
        try:
            raise self._monitor.find_lost(self._operation, ranks) from error
        finally:
            # After the search: until then, the heartbeat must state that this rank is in the
            # collective.
            self._monitor.leave()
