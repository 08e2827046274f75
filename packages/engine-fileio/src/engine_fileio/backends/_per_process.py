"""Keep one connection per process: a forked or unpickled backend opens its own."""

import contextlib
import os
import weakref
from collections.abc import Callable, Hashable
from types import MethodType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One object per process and key, built on first use and closed with its owner.

    A connection that is inherited through ``fork`` shares its socket with the parent. The answers
    for both processes would mix, so the child opens its own connection.

    Args:
        make: Builds the object from the key.
    """

    def __init__(self, make: Callable[..., T]) -> None:
        self._start(make)

    def _start(self, make: Callable[..., T]) -> None:
        # A bound method refers to the backend, which refers to this object. Such a cycle would keep
        # connections open until the garbage collector runs.
        self._make = weakref.WeakMethod(make) if isinstance(make, MethodType) else lambda: make
        self._made: dict[tuple[int, Hashable], T] = {}
        # Not __del__: finalize also runs at exit, before modules are torn down.
        weakref.finalize(self, _close_own, self._made)

    def get(self, *key: Hashable) -> T:
        """Return this process's object for ``key``, built by ``make(*key)`` if needed."""
        place = (os.getpid(), key)
        if place not in self._made:
            make = self._make()
            if make is None:
                raise ReferenceError(
                    "the backend of these connections was deleted; keep a reference to it"
                )
            # No lock, because a forked child could inherit it locked. Two threads may therefore
            # build two objects; both return the one that setdefault kept.
            self._made.setdefault(place, make(*key))
        return self._made[place]

    def __getstate__(self) -> dict[str, Any]:
        return {"make": self._make()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start(state["make"])


def _close_own(made: dict[tuple[int, Hashable], Any]) -> None:
    for (process, _), thing in made.items():
        # A child must not close the connections of its parent: closing sends a message on the
        # socket.
        if process == os.getpid() and hasattr(thing, "close"):
            with contextlib.suppress(OSError):
                thing.close()
