"""Make the modules of the table, each when it is first imported, with names that it forwards."""

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType

from mmengine._names import MODULES

_TABLE = __file__.replace("_finder.py", "_names.py")
_PREFIX = "mmengine."


def sources(module: str) -> dict[str, str]:
    """Return, for each name of a module of the table, where it is: ``engine_model:BaseModel``.

    Args:
        module: The name of the module, such as ``mmengine.model``.
    """
    found = {}
    for row in MODULES[module]:
        origin, names = row.split(": ", 1)
        for name in names.split():
            public, _, original = name.partition("=")
            found[public] = f"{origin}:{original or public}"
    return found


def submodules(module: str) -> list[str]:
    """Return the last names of the modules right below a module of the table."""
    depth = module.count(".") + 1
    return [
        name.rsplit(".", 1)[1]
        for name in MODULES
        if name.startswith(f"{module}.") and name.count(".") == depth
    ]


class Forwarder(ModuleType):
    """A module whose names are those of other packages, which are imported when one is used."""

    def __getattr__(self, name: str) -> object:
        """Return what a name stands for, and keep it."""
        module = self.__name__
        if name == "__all__":
            return sorted(sources(module))
        origin = sources(module).get(name)
        if origin is None:
            if name in submodules(module):
                return importlib.import_module(f"{module}.{name}")
            raise _missing(module, name, sys._getframe(1))
        package, _, original = origin.partition(":")
        value: object = getattr(importlib.import_module(package), original)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        """Return the names of the module, and of the modules below it."""
        module = self.__name__
        return sorted({*self.__dict__, *sources(module), *submodules(module)})


class Finder:
    """Finds the modules below ``mmengine`` that the table has."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of a module of the table, and None for any other."""
        if not fullname.startswith(_PREFIX) or fullname not in MODULES:
            return None
        spec = ModuleSpec(fullname, self, origin=_TABLE, is_package=bool(submodules(fullname)))
        spec.has_location = True  # its ``__file__`` is the table, which error messages name
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a module that forwards."""
        return Forwarder(spec.name, f"The documented names of `{spec.name}`.")

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing more: names are looked up when they are used."""


def _missing(module: str, name: str, caller: FrameType) -> Exception:
    """Return the error for a name that the table lacks: of an import, or of an attribute."""
    message = (
        f"cannot import name {name!r} from {module!r}: engine-compat forwards "
        f"{len(sources(module))} names of this module, listed in {_TABLE}, and not this one"
    )
    near = importlib.import_module("engine_utils").closest_names(name, sources(module))
    if near:
        message += f"; did you mean {' or '.join(map(repr, near))}?"
    opcode = importlib.import_module("opcode").opname[caller.f_code.co_code[caller.f_lasti]]
    if opcode == "IMPORT_FROM":
        return ImportError(message, name=module, path=_TABLE)
    error = AttributeError(f"module {module!r} has no attribute {name!r}; {message}")
    error.name, error.obj = name, sys.modules.get(module)
    return error
