"""Create named instances once, and return them by name anywhere in the process."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

# Reentrant, because a constructor may create another instance of the same class.
_lock = threading.RLock()


class ManagerMeta(type):
    """Give each class its own table of named instances.

    Raises:
        TypeError: The class has a constructor without a parameter called ``name``.

    Example:
        >>> class Scope(metaclass=ManagerMeta):
        ...     def __init__(self, title: str) -> None: ...
        Traceback (most recent call last):
        TypeError: ...Scope.__init__ must have a parameter `name`, got (self, title); ...
    """

    _instance_dict: dict[str, Any]
    # The instances of the open `as_current` blocks, innermost last. Each has an object that
    # identifies its block. A tuple, because async tasks copy the context but share its values: they
    # would all change the same list.
    _activated: ContextVar[tuple[tuple[Any, object], ...]]

    def __init__(cls, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        constructor = cls.__init__  # type: ignore[misc]  # only its parameters are read
        parameters = _parameters(constructor)
        if "name" not in parameters:
            raise TypeError(
                f"{cls.__module__}.{cls.__qualname__}.__init__ must have a parameter `name`, "
                f"got ({', '.join(parameters)}); instances are found by their name"
            )
        cls._instance_dict = {}
        cls._activated = ContextVar(f"{cls.__qualname__}._activated", default=())


def _parameters(function: Any) -> tuple[str, ...]:
    # Not inspect.signature: importing inspect takes longer than importing this package.
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if code is None:
        return ()
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return names


class ManagerMixin(metaclass=ManagerMeta):
    """Base class that creates each named instance once and returns it by name.

    Each subclass has a table of its own: the same name may be used in two classes.
    Threads may create instances at the same time.

    Args:
        name: The name of the instance, not empty.

    Example:
        >>> class Recorder(ManagerMixin):
        ...     def __init__(self, name: str, size: int = 1) -> None:
        ...         super().__init__(name)
        ...         self.size = size
        >>> first = Recorder.get_instance("first", size=3)
        >>> second = Recorder.get_instance("second")
        >>> Recorder.get_instance("first").size
        3
        >>> Recorder.get_current_instance() is second
        True
        >>> with first.as_current():
        ...     Recorder.get_current_instance() is first
        True
        >>> Recorder.release_instance("first"), Recorder.release_instance("second")
        (True, True)
    """

    # Whether a warning of ignored arguments was given for this instance.
    _has_ignored = False

    def __init__(self, name: str = "", **kwargs: Any) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"the name of a {type(self).__name__} must be a non-empty string, got {name!r}"
            )
        self._instance_name = name
        super().__init__(**kwargs)

    @classmethod
    def get_instance(cls, name: str, **kwargs: Any) -> Self:
        """Return the instance of that name, and create it first if there is none.

        A new instance becomes the current one. Inside an `as_current` block it stays the current
        one until the block ends.

        Args:
            name: The name of the instance.
            **kwargs: Arguments of the constructor beside the name. An instance that exists ignores
                them, with one warning.

        Raises:
            TypeError: ``name`` is not a string.
        """
        if not isinstance(name, str):
            raise TypeError(
                f"the name of a {cls.__name__} must be a string, got {type(name).__name__}"
            )
        with _lock:
            instance: Self | None = cls._instance_dict.get(name)
            if instance is None:
                instance = cls(name=name, **kwargs)
                cls._add(name, instance)
                return instance
        if kwargs and not instance._has_ignored:
            instance._has_ignored = True
            warnings.warn(
                f"{cls.__name__} {name!r} exists, so {', '.join(kwargs)} of this call are ignored; "
                f"call {cls.__name__}.get_instance({name!r}) without arguments, or choose another "
                f"name",
                stacklevel=2,
            )
        return instance

    @classmethod
    def get_current_instance(cls) -> Self:
        """Return the instance of the innermost `as_current` block, else the one created last.

        Raises:
            RuntimeError: No instance was created yet.
        """
        current = cls._find_current()
        if current is None:
            raise RuntimeError(
                f"there is no {cls.__name__} yet; call {cls.__name__}.get_instance(name, ...) first"
            )
        return current

    @contextmanager
    def as_current(self) -> Iterator[Self]:
        """Make this the current instance of its class inside a ``with`` block.

        Only the thread or async task that runs the block is affected. Several runs can therefore
        alternate or run concurrently in one process. A thread that is started inside the block is
        not affected, unless its target runs in a ``contextvars.copy_context()``.

        Yields:
            The instance itself.
        """
        with self._as_current_of(type(self)):
            yield self

    @contextmanager
    def _as_current_of(self, kind: ManagerMeta) -> Iterator[None]:
        block = object()
        kind._activated.set((*kind._activated.get(), (self, block)))
        try:
            yield
        finally:
            # Not reset(token): alternating generators end their blocks in any order. A generator
            # that another thread closes ends its block in another context.
            entries = kind._activated.get()
            kind._activated.set(tuple(entry for entry in entries if entry[1] is not block))

    @classmethod
    def check_instance_created(cls, name: str) -> bool:
        """Return whether an instance of that name exists."""
        return name in cls._instance_dict

    @classmethod
    def release_instance(cls, name: str) -> bool:
        """Remove the instance of that name; the name can then be used again.

        The instance that was current before becomes the current one again. Other references to the
        released instance stay valid.

        Returns:
            Whether there was such an instance.
        """
        return cls._remove(name)

    @property
    def instance_name(self) -> str:
        """The name of the instance."""
        return self._instance_name

    @classmethod
    def _find_active(cls) -> Self | None:
        """Return the instance of the innermost block of this thread or task, or None."""
        activated = cls._activated.get()
        return activated[-1][0] if activated else None

    @classmethod
    def _find_current(cls) -> Self | None:
        """Return what ``get_current_instance`` returns, or None if there is no instance."""
        # Not by `_find_active()`: one more call takes a large part of the time of this hot path.
        activated = cls._activated.get()
        if activated:
            return activated[-1][0]  # type: ignore[no-any-return]  # of this class
        if not cls._instance_dict:
            return None
        with _lock:  # another thread may add an instance between reversed() and next()
            return next(reversed(cls._instance_dict.values()), None)

    @classmethod
    def _add(cls, name: str, instance: Any) -> None:
        """Put an instance into the table as the one created last."""
        with _lock:
            # Removed first: a dict keeps the position of a key that is set again.
            cls._instance_dict.pop(name, None)
            cls._instance_dict[name] = instance
        activated = cls._activated.get()
        if activated:
            # The instance is current until the innermost block ends.
            cls._activated.set((*activated, (instance, activated[-1][1])))

    @classmethod
    def _remove(cls, name: str) -> bool:
        """Take an instance out of the table and out of the blocks of this thread or task."""
        with _lock:
            instance = cls._instance_dict.pop(name, None)
        if instance is None:
            return False
        entries = cls._activated.get()
        if entries:
            cls._activated.set(tuple(entry for entry in entries if entry[0] is not instance))
        return True
