"""The scope in which names without a prefix are looked up first."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from engine_utils import ManagerMixin


class DefaultScope(ManagerMixin):
    """The scope of the current task, known everywhere in the process.

    The instance created last counts for all threads. ``overwrite_default_scope`` changes the
    scope for a while, and only in the thread or async task that calls it.

    Args:
        name: The name of the instance.
        scope_name: The scope, e.g. ``"mmdet"``.

    Example:
        >>> scope = DefaultScope.get_instance("task", scope_name="mmdet")
        >>> DefaultScope.get_current_instance().scope_name
        'mmdet'
        >>> with DefaultScope.overwrite_default_scope("mmcls"):
        ...     DefaultScope.get_current_instance().scope_name
        'mmcls'
        >>> DefaultScope.release_instance("task")
        True
    """

    def __init__(self, name: str, scope_name: str) -> None:
        super().__init__(name)
        if not isinstance(scope_name, str):
            raise TypeError(f"scope_name is a string, not {type(scope_name).__name__}")
        self._scope_name = scope_name

    @property
    def scope_name(self) -> str:
        """The scope."""
        return self._scope_name

    @classmethod
    def get_current_instance(cls) -> Self | None:  # type: ignore[override]  # documented so
        """Return the scope that counts here, or None if none was created yet."""
        return cls._find_current()

    @classmethod
    @contextmanager
    def overwrite_default_scope(cls, scope_name: str | None) -> Iterator[None]:
        """Use another scope inside a ``with`` block; None leaves the scope as it is."""
        if scope_name is None:
            yield
            return
        with cls(f"overwritten by {scope_name}", scope_name).as_current():
            yield


def init_default_scope(scope: str) -> None:
    """Make ``scope`` the default scope of the process.

    Does nothing if it is the default scope already.

    Raises:
        TypeError: ``scope`` is not a string, or empty.

    Example:
        >>> init_default_scope("mmdet")
        >>> DefaultScope.get_current_instance().scope_name
        'mmdet'
        >>> DefaultScope.release_instance("mmdet")
        True
    """
    if not isinstance(scope, str) or not scope:
        raise TypeError(f"a scope is a string that is not empty, not {scope!r}")
    current = DefaultScope.get_current_instance()
    if current is not None and current.scope_name == scope:
        return
    name = scope
    while DefaultScope.check_instance_created(name):
        # An older one of this scope is not the current one: only a new one can be.
        name = f"{scope}-{time.monotonic_ns()}"
    DefaultScope.get_instance(name, scope_name=scope)
