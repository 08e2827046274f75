"""Connections that a forked or unpickled copy of a back end makes anew."""

import contextlib
import os
import weakref
from collections.abc import Callable, Hashable
from types import MethodType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One object for each process and key, made on first use and closed with its owner.

    A connection inherited through ``fork`` would share its socket with the parent, so a child
    makes its own. There is no lock, which a child could inherit locked: two threads may both
    make an object, and both get the one that was kept.
    """

    def __init__(self, make: Callable[..., T]) -> None:
        self._start(make)

    def _start(self, make: Callable[..., T]) -> None:
        # A bound method would keep its owner, and so this object, from being freed at once.
        self._make = weakref.WeakMethod(make) if isinstance(make, MethodType) else lambda: make
        self._made: dict[tuple[int, Hashable], T] = {}
        weakref.finalize(self, _close_own, self._made)

    def get(self, *key: Hashable) -> T:
        """Return this process's object for ``key``, which is what ``make`` is called with."""
        place = (os.getpid(), key)
        if place not in self._made:
            make = self._make()
            if make is None:
                raise ReferenceError("the owner of these connections is gone")
            self._made.setdefault(place, make(*key))
        return self._made[place]

    def __getstate__(self) -> dict[str, Any]:
        return {"make": self._make()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start(state["make"])


def _close_own(made: dict[tuple[int, Hashable], Any]) -> None:
    for (process, _), thing in made.items():
        # what a parent made is the parent's to close
        if process == os.getpid() and hasattr(thing, "close"):
            with contextlib.suppress(OSError):
                thing.close()
