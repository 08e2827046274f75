"""Instances that are found again by their name, from anywhere in the process."""

import threading
from typing import Any, Self

# Creating an instance may ask for another one of the same class, so the lock is re-entrant.
_lock = threading.RLock()


class ManagerMeta(type):
    """Gives every class its own table of named instances.

    Raises:
        TypeError: the class has a constructor without a parameter called ``name``.

    Example:
        >>> class Scope(metaclass=ManagerMeta):
        ...     def __init__(self, name: str) -> None:
        ...         self.name = name
        >>> Scope._instance_dict
        {}
    """

    _instance_dict: dict[str, Any]

    def __init__(cls, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        constructor = cls.__init__  # type: ignore[misc]  # only its parameters are read
        parameters = _parameters(constructor)
        if "name" not in parameters:
            raise TypeError(
                f"{cls.__module__}.{cls.__qualname__}.__init__ takes ({', '.join(parameters)}), "
                "but the constructor of a managed class needs a parameter called `name`: "
                "instances are found again by it"
            )
        cls._instance_dict = {}


def _parameters(function: Any) -> tuple[str, ...]:
    # Not inspect.signature: importing inspect costs more than all of this package.
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if code is None:
        return ()
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return names


class ManagerMixin(metaclass=ManagerMeta):
    """Base of classes whose instances are found again by their name.

    Every subclass keeps instances of its own: a name used in one class is free in another.
    Creation is safe among threads.

    Args:
        name: The name of the instance; not empty.

    Example:
        >>> class Recorder(ManagerMixin):
        ...     def __init__(self, name: str, size: int = 1) -> None:
        ...         super().__init__(name)
        ...         self.size = size
        >>> recorder = Recorder.get_instance("task", size=3)
        >>> Recorder.get_instance("task") is recorder
        True
        >>> Recorder.get_current_instance().size
        3
        >>> Recorder.release_instance("task")
        True
    """

    def __init__(self, name: str = "", **kwargs: Any) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"{type(self).__name__} needs a name that is a non-empty string, not {name!r}"
            )
        self._instance_name = name
        super().__init__(**kwargs)

    @classmethod
    def get_instance(cls, name: str, **kwargs: Any) -> Self:
        """Return the instance of that name, and create it first if there is none.

        Args:
            name: The name of the instance.
            **kwargs: What the constructor takes beside the name.

        Raises:
            TypeError: ``name`` is not a string.
            ValueError: the instance exists, and arguments for its construction are given.
        """
        if not isinstance(name, str):
            raise TypeError(f"the name of an instance is a string, not {type(name).__name__}")
        with _lock:
            instance: Self | None = cls._instance_dict.get(name)
            if instance is None:
                instance = cls(name=name, **kwargs)
                cls._instance_dict[name] = instance
                return instance
        if kwargs:
            raise ValueError(
                f"{cls.__name__} {name!r} was created before, so {', '.join(kwargs)} cannot be "
                f"set: call {cls.__name__}.get_instance({name!r}) without arguments, or choose "
                "another name"
            )
        return instance

    @classmethod
    def get_current_instance(cls) -> Self:
        """Return the instance created last.

        Raises:
            RuntimeError: no instance was created yet.
        """
        with _lock:
            if not cls._instance_dict:
                raise RuntimeError(
                    f"there is no {cls.__name__} yet: "
                    f"call {cls.__name__}.get_instance(name, ...) first"
                )
            instance: Self = next(reversed(cls._instance_dict.values()))
            return instance

    @classmethod
    def check_instance_created(cls, name: str) -> bool:
        """Tell whether an instance of that name exists."""
        return name in cls._instance_dict

    @classmethod
    def release_instance(cls, name: str) -> bool:
        """Forget the instance of that name, so that it can be freed and the name used again.

        The instance created before it becomes the current one. References held elsewhere stay
        usable.

        Returns:
            Whether there was such an instance.
        """
        with _lock:
            return cls._instance_dict.pop(name, None) is not None

    @property
    def instance_name(self) -> str:
        """The name of the instance."""
        return self._instance_name
