"""The hooks of a run, in order, and what each point of the run has to call."""

from bisect import insort
from collections.abc import Callable, Iterator

from engine_runner.hooks._hook import Hook
from engine_runner.hooks._priority import Priority, get_priority

Method = Callable[..., None]


class HookList:
    """Hooks by priority; equal priorities stay in the order in which they were added.

    Example:
        >>> hooks = HookList()
        >>> hooks.add(Hook())
        >>> hooks.methods("before_run")
        ()
    """

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, Hook]] = []
        self._methods: dict[str, tuple[Method, ...]] = {}

    def __iter__(self) -> Iterator[Hook]:
        return (hook for _, _, hook in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, hook: Hook, priority: int | str | None = None) -> None:
        """Insert a hook by the given priority, or by the hook's own."""
        rank = get_priority(hook.priority if priority is None else priority)
        insort(self._entries, (rank, len(self._entries), hook), key=lambda entry: entry[:2])
        self._methods.clear()

    def methods(self, point: str) -> tuple[Method, ...]:
        """Return what to call at a point: the methods of the hooks that wrote one, in order."""
        try:
            return self._methods[point]
        except KeyError:
            return self._methods.setdefault(point, self._find(point))

    def table(self) -> str:
        """Return which hooks act at which point, one block a point."""
        blocks = []
        for stage in Hook.stages:
            rows = [
                f"({_level(rank):<12}) {type(hook).__name__}"
                for rank, _, hook in self._entries
                if stage in hook.get_triggered_stages()
            ]
            if rows:
                blocks.append("\n".join([f"{stage}:", *rows]))
        return "\n -------------------- \n".join(blocks)

    def _find(self, point: str) -> tuple[Method, ...]:
        base = getattr(Hook, point, None)
        found = []
        for hook in self:
            method = getattr(hook, point, None)
            if method is not None and getattr(method, "__func__", method) is not base:
                found.append(method)
        return tuple(found)


def _level(rank: int) -> str:
    try:
        return Priority(rank).name
    except ValueError:
        return str(rank)
