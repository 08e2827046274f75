"""Connections that a forked or unpickled copy of a backend opens again."""

import contextlib
import os
import weakref
from collections.abc import Callable, Hashable
from types import MethodType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One object per process and key, built on first use and closed with its owner.

    A connection that is inherited through ``fork`` shares its socket with the parent, and the
    answers of both mix. So a child opens its own.

    Args:
        make: Builds the object from the key.
    """

    def __init__(self, make: Callable[..., T]) -> None:
        self._start(make)

    def _start(self, make: Callable[..., T]) -> None:
        # A bound method refers to its owner, which owns this object. The circle would keep open
        # connections until the garbage collector runs.
        self._make = weakref.WeakMethod(make) if isinstance(make, MethodType) else lambda: make
        self._made: dict[tuple[int, Hashable], T] = {}
        # This also runs at exit, where __del__ may find that modules are gone.
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
            # A lock could be inherited locked by a forked child. Without one, two threads may
            # build two objects, and both return the one that setdefault kept.
            self._made.setdefault(place, make(*key))
        return self._made[place]

    def __getstate__(self) -> dict[str, Any]:
        return {"make": self._make()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start(state["make"])


def _close_own(made: dict[tuple[int, Hashable], Any]) -> None:
    for (process, _), thing in made.items():
        # A child must not close the connections of its parent: closing sends a message.
        if process == os.getpid() and hasattr(thing, "close"):
            with contextlib.suppress(OSError):
                thing.close()
