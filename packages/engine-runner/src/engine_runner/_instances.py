"""The named instances of a run, current while the run builds its parts and works."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from engine_utils import ManagerMixin

Instance = TypeVar("Instance")


class RunInstances:
    """The scope, logger, message hub and visualizer of one run.

    Code that has no runner asks the process for "the current" logger, hub, visualizer or scope.
    Within `current`, in this thread, it gets those of this run, however many runs there are.

    Example:
        >>> class Recorder(ManagerMixin):
        ...     pass
        >>> first, second = RunInstances(), RunInstances()
        >>> mine = first.add(Recorder.get_instance("first"))
        >>> other = second.add(Recorder.get_instance("second"))
        >>> with first.current():
        ...     Recorder.get_current_instance() is mine
        True
        >>> Recorder.get_current_instance() is mine
        False
    """

    def __init__(self) -> None:
        self._members: list[ManagerMixin] = []

    def add(self, instance: Instance) -> Instance:
        """Add an instance, and return it; one of a class that is not managed is left out."""
        if isinstance(instance, ManagerMixin):  # a visualizer of the user's may be any object
            self._members.append(instance)
        return instance

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the instances the current ones of their classes within the block."""
        with ExitStack() as stack:
            for member in self._members:
                stack.enter_context(member.as_current())
            yield
