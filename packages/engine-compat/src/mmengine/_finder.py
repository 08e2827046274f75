"""Make the modules of the table, each when it is first imported, with names that it forwards.

Neither `typing` nor `collections` is imported, which take longer than all of this package.
"""

import importlib
import os
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType

from mmengine._names import MODULES
from mmengine._table import TABLE, public_names, sources, submodules

_FOLDER = os.path.dirname(__file__)
_ROOT = "mmengine"
FILES = frozenset(
    f"{_ROOT}.{name}"
    for name in ("_finder", "_installed", "_missing", "_names", "_only_here", "_table")
)


class Forwarder(ModuleType):
    """A module whose names are those of other packages, which are imported when one is used."""

    def __getattr__(self, name: str) -> object:
        """Return what a name stands for, and keep it."""
        value: object
        module = self.__name__
        if name == "__all__":
            value = public_names(module)
        elif name in sources(module):
            value = _load(module, name)
        elif name in submodules(module):
            return importlib.import_module(f"{module}.{name}")
        elif name.startswith("__"):  # such as `__wrapped__`, which tools look for everywhere
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        else:
            from mmengine._missing import name_error  # only for an error

            raise name_error(self, name, sys._getframe(1))
        # Another thread, or a patch of the name, may have been faster.
        return self.__dict__.setdefault(name, value)

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, except a module where the table has something else of that name.

        Importing ``dl_utils.collect_env`` leaves the function that ``dl_utils`` exports.
        """
        is_child = isinstance(value, Forwarder) and value.__name__ == f"{self.__name__}.{name}"
        if not (is_child and name in sources(self.__name__)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        """Return the names of the module, and of the modules below it."""
        module = self.__name__
        return sorted({*self.__dict__, *sources(module), *submodules(module)})

    def __reduce__(self) -> tuple[object, ...]:
        """Copy and pickle the module by its name, as picklers do with modules of their own type."""
        return importlib.import_module, (self.__name__,)


def _load(module: str, name: str) -> object:
    origin, _, original = sources(module)[name].partition(":")
    source = importlib.import_module(origin)
    try:
        value: object = getattr(source, original)
    except AttributeError as error:
        from mmengine._missing import source_error  # only for an error

        raise source_error(module, name) from error
    return value


class Loader(SourceFileLoader):
    """Makes one module of the table. Its file is the stub that editors read."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a module that forwards."""
        return Forwarder(spec.name, f"The documented names of `{spec.name}`.")

    def exec_module(self, module: ModuleType) -> None:
        """Let the module forward, also if it is loaded again: names are looked up when used."""
        take_over(module)

    def get_code(self, fullname: str) -> CodeType:
        """Return the code that ``python -m`` runs: none."""
        return compile("", self.path, "exec")


class Missing(SourceFileLoader):
    """Raises the error of an import of a module that the table lacks.

    A finder holds a lock of the import system. An error imports what its text needs, so that it
    must wait until the loader is called.
    """

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Raise the error."""
        from mmengine._missing import module_error

        raise module_error(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: no module is made."""


class Finder:
    """Finds the modules below ``mmengine`` that the table has."""

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of a module of the table, and None for any other."""
        if not fullname.startswith(f"{_ROOT}.") or fullname in FILES:
            return None
        if fullname in MODULES:
            return _spec(fullname)
        # `importlib.util.find_spec` asks whether there is one; an import needs one.
        asking = sys._getframe(1).f_back
        if asking is None or asking.f_code.co_name != "_find_and_load_unlocked":
            return None
        return ModuleSpec(fullname, Missing(fullname, TABLE))


def _spec(fullname: str) -> ModuleSpec:
    loader = Loader(fullname, stub_of(fullname))
    is_package = bool(submodules(fullname))
    spec = ModuleSpec(fullname, loader, origin=loader.path, is_package=is_package)
    spec.has_location = True
    if is_package:
        spec.submodule_search_locations = [os.path.dirname(loader.path)]
    return spec


def stub_of(fullname: str) -> str:
    """Return the path of the file that describes a module of the table to editors."""
    file = os.path.join(_FOLDER, *fullname.split(".")[1:])
    return os.path.join(file, "__init__.pyi") if submodules(fullname) else f"{file}.pyi"


class Listing:
    """The modules below one of the table, for `pkgutil`; it takes the place of the folder's.

    The folder itself may hold files of another `mmengine`, which are not found through it.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._files = FileFinder(_FOLDER, (SourceFileLoader, SOURCE_SUFFIXES))

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the specification of a private file of this package."""
        return self._files.find_spec(fullname, target) if fullname in FILES else None

    def iter_modules(self, prefix: str = "") -> list[tuple[str, bool]]:
        """Return each module with whether it is a package."""
        below = submodules(self._module)
        return [(prefix + name, bool(submodules(f"{self._module}.{name}"))) for name in below]

    def invalidate_caches(self) -> None:
        """Read the folder again at the next search."""
        self._files.invalidate_caches()


def take_over(module: ModuleType) -> None:
    """Let a module of the table forward, and drop the names that it has looked up."""
    name = module.__name__
    for known in set(vars(module)) & {*sources(name), "__all__"}:
        del module.__dict__[known]
    module.__class__ = Forwarder
    if name != _ROOT and not isinstance(getattr(module.__spec__, "loader", None), Loader):
        module.__spec__ = _spec(name)
        module.__file__ = stub_of(name)
    if submodules(name):
        folder = os.path.dirname(stub_of(name))
        sys.path_importer_cache[folder] = Listing(name)


# Here, so that it is in place before a thread can import a module of the table.
sys.meta_path[:] = [
    Finder(),
    *(finder for finder in sys.meta_path if type(finder).__module__ != __name__),
]
