"""Set the default scope: the scope that is searched first for a name without a prefix."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from engine_registry._aliases import true_scope
from engine_utils import ManagerMixin


class DefaultScope(ManagerMixin):
    """The default scope, which registries search first, for the process or for a block.

    The instance created last is used in all threads. ``overwrite_default_scope`` and ``as_current``
    set the scope inside a ``with`` block, only for the thread or async task that runs it.

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
            raise TypeError(f"scope_name must be a string, got {type(scope_name).__name__}")
        self._scope_name = scope_name

    @property
    def scope_name(self) -> str:
        """The scope."""
        return self._scope_name

    @classmethod
    def get_current_instance(cls) -> Self | None:  # type: ignore[override]  # documented so
        """Return the scope of the innermost block, else the one created last, else None."""
        return cls._find_current()

    @classmethod
    @contextmanager
    def overwrite_default_scope(cls, scope_name: str | None) -> Iterator[None]:
        """Set the default scope inside a ``with`` block; None keeps the current one."""
        if scope_name is None:
            yield
            return
        with cls(f"overwritten by {scope_name}", scope_name).as_current():
            yield


def init_default_scope(scope: str) -> None:
    """Make ``scope`` the default scope of the process.

    Do nothing if it is the default scope already. Warn if it replaces another one.

    Raises:
        TypeError: ``scope`` is not a string, or is empty.

    Example:
        >>> init_default_scope("mmdet")
        >>> DefaultScope.get_current_instance().scope_name
        'mmdet'
        >>> DefaultScope.release_instance("mmdet")
        True
    """
    if not isinstance(scope, str) or not scope:
        raise TypeError(f"scope must be a non-empty string, got {scope!r}")
    current = DefaultScope.get_current_instance()
    if current is not None and current.scope_name == scope:
        return
    if current is not None and true_scope(current.scope_name) != true_scope(scope):
        warnings.warn(
            f'The current default scope "{current.scope_name}" is not "{scope}", which replaces it '
            "for the whole process; for a block of code, use DefaultScope.overwrite_default_scope",
            stacklevel=2,
        )
    name = scope
    while DefaultScope.check_instance_created(name):
        # An older instance has this name. Only a new instance becomes the current one, so choose
        # another name.
        name = f"{scope}-{time.monotonic_ns()}"
    DefaultScope.get_instance(name, scope_name=scope)
