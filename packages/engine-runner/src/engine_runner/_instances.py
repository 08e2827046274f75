"""The named instances of a run, current while the run builds its parts and works."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from engine_dist.device import use_device
from engine_utils import ManagerMixin

Instance = TypeVar("Instance")
Result = TypeVar("Result")
P = ParamSpec("P")


class RunInstances:
    """The scope, logger, message hub, visualizer and device of one run.

    Code that has no runner asks the process for "the current" logger, hub, visualizer or scope.
    Within `current`, in this thread, it gets those of this run, however many runs there are.

    Args:
        device: The device of the run, such as ``"cpu"`` or ``"cuda:1"``; None for the one that
            torch finds.

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

    def __init__(self, device: str | None = None) -> None:
        self._device = device
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
            stack.enter_context(use_device(self._device))
            for member in self._members:
                stack.enter_context(member.as_current())
            yield


class _HasInstances(Protocol):
    _instances: RunInstances


Owner = TypeVar("Owner", bound=_HasInstances)


def with_instances(
    method: Callable[Concatenate[Owner, P], Result],
) -> Callable[Concatenate[Owner, P], Result]:
    """Make the instances of a run the current ones within a method of its runner."""

    @wraps(method)
    def within(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        with self._instances.current():
            return method(self, *args, **kwargs)

    return within
