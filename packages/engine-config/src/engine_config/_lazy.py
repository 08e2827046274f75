"""`LazyObject`: a name that a lazy config imports; the import happens at first use."""

from __future__ import annotations

import enum
import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from engine_config._errors import ConfigError, ConfigImportError


class LazyObject:
    """An importable object that is not imported yet.

    A `ConfigDict` returns the imported object when a value is read. Only config files, and code
    that reads the stored values directly, handle this class.

    Args:
        module: The dotted name of the module to import.
        path: The dotted path of the object in it; empty for the module itself.
        file: The config file that imports it, for error messages.
        line: The line of the import.

    Example:
        >>> lazy = LazyObject("collections", "OrderedDict")
        >>> print(lazy)
        collections.OrderedDict
        >>> lazy.resolve()
        <class 'collections.OrderedDict'>
    """

    __slots__ = ("_file", "_line", "_module", "_path")
    # False until the process creates the first lazy object. Until then, reading a list skips the
    # search for lazy objects.
    created = False

    def __init__(self, module: str, path: str = "", *, file: str = "", line: int = 0) -> None:
        self._module, self._path, self._file, self._line = module, path, file, line
        LazyObject.created = True

    def __getattr__(self, name: str) -> LazyObject:
        # Python looks up special names to find out what an object supports. copy() and pickle would
        # find `__deepcopy__` as a LazyObject, and call it.
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
            # Compare the names first, which needs no import. Two names may also mean the same
            # object: `torch.optim.SGD` is `torch.optim.sgd.SGD`.
            return str(self) == dotted_name(other) or self.resolve() is other
        named = None if type(other) in _LITERAL else import_path(other)
        if named is None:
            return NotImplemented
        return str(self) == ".".join(filter(None, named)) or bool(self.resolve() == other)

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
            ConfigImportError: The object cannot be imported. The error names file and line of the
                config; its cause is the original error.
        """
        try:
            value: Any = importlib.import_module(self._module)
            for name in self._path.split(".") if self._path else ():
                value = _member(value, name)
        except Exception as error:  # importing runs user code, which may raise anything
            plain = isinstance(error, ImportError | AttributeError)
            reason = str(error) if plain else f"{type(error).__name__}: {error}"
            message = f"cannot import {self}: {reason}{_how_to_install(error)}"
            raise ConfigImportError(message, file=self._file, line=self._line) from error
        return value


LazyAttr: Final = LazyObject
"""An attribute of a lazy object, which is a lazy object too."""


def _how_to_install(error: Exception) -> str:
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    from engine_utils import distribution_of  # for errors only, as below

    package = distribution_of(error.name)
    return f"; pip install {package}" if package else ""


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
        # In Python, `a.b` works after `import a` if any code has imported a.b: import it here.
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise  # the module exists, but one of its imports does not
        # Imported here, for errors only: importing this package would take 50 % longer.
        from engine_utils import did_you_mean

        hint = did_you_mean(name, dir(value))
        message = f"the module {value.__name__} has no {name!r}{hint}"
        raise AttributeError(message) from None


def parts(lazy: LazyObject) -> tuple[str, str]:
    """Return the module and the path in it; the path is empty for the module itself."""
    return lazy._module, lazy._path


def dotted_name(value: type | types.FunctionType | types.BuiltinFunctionType) -> str:
    """Return the import path of a class or function, such as `torch.optim.sgd.SGD`."""
    return f"{value.__module__}.{value.__qualname__}"


# A dtype, layout or memory format of PyTorch: its `repr` is its import path.
_TORCH_CONSTANTS: Final = frozenset(["dtype", "layout", "memory_format", "qscheme"])
_SCRIPTS: Final = ("__main__", "__mp_main__")
_LITERAL: Final = frozenset([bool, int, float, str, bytes, type(None), list, tuple, dict, set])


def import_path(value: Any) -> tuple[str, str] | None:
    """Return the module and path from which a value is imported, or None if there is no such path.

    The path is checked: it leads to the value. A class inside a function, a lambda, and whatever
    ``__main__`` defines have no path.
    """
    if isinstance(value, LazyObject):
        return parts(value)
    module, path = _claimed_path(value)
    # A script is imported under another name, and under "__mp_main__" in its child processes.
    if not isinstance(module, str) or not isinstance(path, str) or module in _SCRIPTS:
        return None
    if _found(module, path, value):
        return module, path
    # Python names `type(None)` builtins.NoneType, which does not exist.
    name = path.rpartition(".")[2]
    alias = {"NoneType": "NoneType", "ellipsis": "EllipsisType", "function": "FunctionType"}
    if isinstance(value, type) and _found("types", alias.get(name, name), value):
        return "types", alias.get(name, name)
    return None


def _claimed_path(value: Any) -> tuple[Any, Any]:
    kind = type(value)
    if isinstance(value, types.ModuleType):
        return value.__name__, ""
    if isinstance(value, enum.Enum):
        return kind.__module__, f"{kind.__qualname__}.{value.name}"
    if kind.__module__ == "torch" and kind.__name__ in _TORCH_CONSTANTS:
        return "torch", repr(value).removeprefix("torch.")
    if not callable(value):
        return None, None
    return getattr(value, "__module__", None), getattr(value, "__qualname__", None)


def _found(module: str, path: str, value: Any) -> bool:
    found: Any = sys.modules.get(module)
    for name in path.split(".") if path else ():
        found = getattr(found, name, None)
    # Python makes a new object each time that a class method is read.
    return found is value or (isinstance(value, types.MethodType) and bool(found == value))


@contextmanager
def read_base() -> Iterator[None]:
    r"""Mark the imports in a ``with`` block as the bases of a lazy config.

    `Config.fromfile` parses the block and never runs it. To editors and linters, it is ordinary
    Python, so they can follow the names.

    Example:
        >>> from engine_config import Config
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "base.py").write_text("lr = 0.1")
        >>> _ = (folder / "train.py").write_text(
        ...     "from engine_config import read_base\nwith read_base():\n    from .base import *"
        ... )
        >>> Config.fromfile(folder / "train.py").lr
        0.1
    """
    yield
