"""Imported names of lazy configs: stand-ins that import what they name when they are used."""

from __future__ import annotations

import enum
import importlib
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine_config._closest import closest
from engine_config._errors import ConfigError, ConfigImportError


class LazyObject:
    """Something importable that has not been imported yet.

    A `ConfigDict` gives the real object whenever a value is read from it, so this class is seen
    only inside a config file and by code that walks a config without using it.

    Args:
        module: dotted name of the module to import.
        path: dotted path of the object in it; empty for the module itself.
        file: the config file that imports it, for error messages.
        line: the line of the import.

    Example:
        >>> lazy = LazyObject("collections", "OrderedDict")
        >>> print(lazy)
        collections.OrderedDict
        >>> lazy.resolve()
        <class 'collections.OrderedDict'>
    """

    __slots__ = ("_file", "_line", "_module", "_path")
    created = False  # while nothing is lazy, reading a value need not look for lazy parts

    def __init__(self, module: str, path: str = "", *, file: str = "", line: int = 0) -> None:
        self._module, self._path, self._file, self._line = module, path, file, line
        LazyObject.created = True

    def __getattr__(self, name: str) -> LazyObject:
        # Python asks for special names to find out what an object can do; those must not seem to be
        # there.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        path = f"{self._path}.{name}" if self._path else name
        return LazyObject(self._module, path, file=self._file, line=self._line)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise ConfigError(
            f"{self} is called while the config is read, but a lazy config imports it only when "
            "it is built; write dict(type=...) or read with lazy_import=False",
            file=self._file or None,
            line=self._line,
        )

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LazyObject):
            return str(self) == str(other)
        if isinstance(other, type | types.FunctionType | types.BuiltinFunctionType):
            return str(self) == dotted_name(other) or self.resolve() is other
        if isinstance(other, enum.Enum):
            return self.resolve() is other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return f"{self._module}.{self._path}" if self._path else self._module

    def __repr__(self) -> str:
        return f"<lazy {self}>"

    def __deepcopy__(self, memo: object) -> LazyObject:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (_lazy_object, (self._module, self._path, self._file, self._line))

    def resolve(self) -> Any:
        """Import the module and return the object.

        Raises:
            ConfigImportError: it cannot be imported; the config and line are named, the cause is
                chained.
        """
        try:
            value: Any = importlib.import_module(self._module)
            for name in self._path.split(".") if self._path else ():
                value = _member(value, name)
        except Exception as error:  # importing runs code of others, which may raise anything
            known = isinstance(error, ImportError | AttributeError)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            message = f"cannot import {self}: {reason}"
            raise ConfigImportError(message, file=self._file, line=self._line) from error
        return value


def _lazy_object(module: str, path: str, file: str, line: int) -> LazyObject:
    return LazyObject(module, path, file=file, line=line)


def _member(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        if not isinstance(value, types.ModuleType):
            raise
    module = f"{value.__name__}.{name}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise  # the module is there, but not what it imports
        close = closest(name, dir(value))
        hint = f"; did you mean {close!r}?" if close else ""
        message = f"the module {value.__name__} has no {name!r}{hint}"
        raise AttributeError(message) from None


def parts(lazy: LazyObject) -> tuple[str, str]:
    """Return the module and the path in it, which is empty for the module itself."""
    return lazy._module, lazy._path


def dotted_name(value: type | types.FunctionType | types.BuiltinFunctionType) -> str:
    """Return the import path of a class or function, such as `torch.optim.sgd.SGD`."""
    return f"{value.__module__}.{value.__qualname__}"


@contextmanager
def read_base() -> Iterator[None]:
    """Mark the imports that are the bases of a lazy config, as a `with` block around them.

    Inside a config the block is read by `Config.fromfile`, which never runs it as an import. Run as
    plain Python the block is an ordinary one, so that editors and linters can follow its names.

    Example:
        >>> with read_base():
        ...     from collections import OrderedDict
    """
    yield
