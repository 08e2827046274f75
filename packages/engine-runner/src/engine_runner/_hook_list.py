"""The hooks of a run: their order, their names, and the methods that each point calls."""

import logging
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence
from contextlib import ExitStack
from itertools import accumulate
from typing import Any, NamedTuple, overload

from engine_runner._hook import Hook
from engine_runner._priority import Priority, get_priority
from engine_runner._protocols import Stateful

Method = Callable[..., None]

# A run without a limit of time has no use for the time that another attempt took.
_OF_ONE_ATTEMPT = frozenset({"time_limit"})

_log = logging.getLogger("engine.runner")

UNFINISHED = frozenset({"before_train_iter", "after_train_iter", "after_train_epoch"})
"""The points at which the counters of a training are behind its weights or its data."""


class HookPlace(NamedTuple):
    """A hook at a point of the run.

    Attributes:
        name: The name under which its state is saved.
        type: The name of its class.
        priority: The number that orders the hooks of a point; lower ones are called earlier.
        level: The name of the priority, or its number as text.
    """

    name: str
    type: str
    priority: int
    level: str


class HookList(MutableSequence[Hook]):
    """Hooks by priority; equal priorities stay in the order in which they were added.

    Hooks with state are saved and resumed by their names. A hook that is inserted by its position,
    as in a list, has the priority of the hook that it precedes.

    Example:
        >>> class Count(Hook):
        ...     calls = 0
        ...     def before_run(self, runner):
        ...         self.calls += 1
        >>> hooks = HookList()
        >>> hooks.add(Count(), name="count")
        >>> for method in hooks.methods("before_run"):
        ...     method(None)
        >>> hooks.find("count").calls
        1
    """

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, Hook]] = []
        self._named: dict[str, Hook] = {}
        self._next_name = ""
        self._methods: dict[str, tuple[Method, ...]] = {}

    def __iter__(self) -> Iterator[Hook]:
        return (hook for _, _, hook in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Hook: ...
    @overload
    def __getitem__(self, index: slice) -> list[Hook]: ...
    def __getitem__(self, index: int | slice) -> Hook | list[Hook]:
        return self.in_order[index]

    def __setitem__(self, index: Any, hook: Any) -> None:
        hooks = self.in_order
        hooks[index] = hook
        self._become(hooks)

    def __delitem__(self, index: int | slice) -> None:
        hooks = self.in_order
        del hooks[index]
        self._become(hooks)

    def insert(self, index: int, value: Hook) -> None:
        """Insert a hook at a position; it gets the priority of the hook that it precedes.

        Args:
            index: The position.
            value: The hook.
        """
        hooks = self.in_order
        hooks.insert(index, value)
        self._become(hooks)

    def replaced(self, hooks: Iterable[Hook]) -> "HookList":
        """Return a list of these hooks, in their order; those of this list keep their names."""
        result = HookList()
        result._entries, result._named = list(self._entries), dict(self._named)
        result._become(list(hooks))
        return result

    def _become(self, hooks: list[Hook]) -> None:
        former = {id(hook): rank for rank, _, hook in self._entries}
        names = {id(hook): name for name, hook in self._named.items()}
        ranks = [former.get(id(hook), get_priority(_checked(hook).priority)) for hook in hooks]
        # A new hook has its own priority, or that of its neighbors, if its position demands it.
        following = get_priority("LOWEST")
        for at in reversed(range(len(hooks))):
            lowered = min(ranks[at], following)
            if id(hooks[at]) in former:
                following = lowered
            else:
                ranks[at] = lowered
        self._entries, self._named = [], {}
        for hook, rank in zip(hooks, accumulate(ranks, max), strict=True):
            self.add(hook, rank, name=names.get(id(hook), ""))
        self._methods.clear()

    @property
    def in_order(self) -> list[Hook]:
        """The hooks in the order in which they are called."""
        return list(self)

    def add(self, hook: Hook, priority: int | str | None = None, *, name: str = "") -> None:
        """Insert a hook.

        Args:
            hook: The hook.
            priority: Its place; the hook's own by default.
            name: The name under which its state is saved; the class name by default. A second
                hook of one name is numbered.

        Raises:
            TypeError: ``hook`` is not a `Hook`.
        """
        _checked(hook)
        # The number of earlier hooks keeps equal priorities in the order of their addition.
        rank = get_priority(hook.priority if priority is None else priority)
        insort(self._entries, (rank, len(self._entries), hook), key=lambda entry: entry[:2])
        self._named[self._free(name or self._next_name or type(hook).__name__)] = hook
        self._next_name = ""
        self._methods.clear()

    def named(self, hooks: Mapping[str, Any]) -> Iterator[Any]:
        """Yield hooks or their configs, and give each its name when it is added.

        Args:
            hooks: Hooks or configs by name; each is added, if at all, before the next one.
        """
        for self._next_name, hook in hooks.items():
            yield hook
        self._next_name = ""

    def find(self, name: str) -> Hook | None:
        """Return the hook of a name, or None."""
        return self._named.get(name)

    def methods(self, point: str) -> tuple[Method, ...]:
        """Return the methods to call at a point, in order: those that hooks override."""
        # Found once and kept until a hook is added: a point without methods costs one look-up.
        try:
            return self._methods[point]
        except KeyError:
            return self._methods.setdefault(point, self._overrides(point))

    def around(self, runner: Any) -> ExitStack:
        """Enter the contexts of all hooks, in order, and return the stack that leaves them."""
        with ExitStack() as stack:
            for around_run in self._overrides("around_run"):
                stack.enter_context(around_run(runner))  # type: ignore[arg-type]  # of this point
            return stack.pop_all()  # without this, an error on the way would leave some entered

    def points(self) -> dict[str, list[HookPlace]]:
        """Return the hooks that act at each point, in the order of their calls.

        Points at which no hook acts are left out.
        """
        names = {id(hook): name for name, hook in self._named.items()}
        stages: dict[str, list[HookPlace]] = {stage: [] for stage in Hook.stages}
        for rank, _, hook in self._entries:
            for stage in hook.get_triggered_stages():
                place = HookPlace(names[id(hook)], type(hook).__name__, rank, _level(rank))
                stages[stage].append(place)
        return {stage: places for stage, places in stages.items() if places}

    def table(self) -> str:
        """Return the hooks that act at each point, one block per point."""
        blocks = [
            "\n".join([f"{stage}:", *(f"({place.level:<12}) {place.type}" for place in places)])
            for stage, places in self.points().items()
        ]
        return "\n -------------------- \n".join(blocks)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each hook that has one, by name."""
        return {
            name: hook.state_dict()
            for name, hook in self._named.items()
            if isinstance(hook, Stateful)
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over states by name; a state whose hook is not in this run is logged."""
        for name, state in state_dict.items():
            hook = self._named.get(name)
            if isinstance(hook, Stateful):
                hook.load_state_dict(state)
            elif name not in _OF_ONE_ATTEMPT:
                _log.warning(
                    "the checkpoint has the state of a hook %r, which this run does not have", name
                )

    def _free(self, name: str) -> str:
        number, free = 1, name
        while free in self._named:
            number += 1
            free = f"{name}_{number}"
        return free

    def _overrides(self, point: str) -> tuple[Method, ...]:
        return tuple(getattr(hook, point) for hook in self if hook.acts_at(point))


def _checked(hook: Hook) -> Hook:
    if not isinstance(hook, Hook):
        raise TypeError(f"a hook must be a Hook, got {type(hook).__name__}: {hook!r}")
    return hook


def _level(rank: int) -> str:
    try:
        return Priority(rank).name
    except ValueError:
        return str(rank)
