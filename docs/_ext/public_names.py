"""The public names of the packages, each with the place at which the reference documents it."""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

PACKAGES = Path(__file__).parents[2] / "packages"
FORWARDING = "mmengine"  # has no names of its own


@dataclass(frozen=True, kw_only=True)
class PublicName:
    """A name in the ``__all__`` of a module.

    Attributes:
        module: The module that lists it.
        name: The name in that module.
        home: The full name under which the reference documents it.
        value: The object.
    """

    module: str
    name: str
    home: str
    value: object

    @property
    def full(self) -> str:
        """Return the full name at this place."""
        return f"{self.module}.{self.name}"

    @property
    def summary(self) -> str:
        """Return the first sentence of the docstring, which is reStructuredText."""
        if not (inspect.isclass(self.value) or inspect.isroutine(self.value)):
            return ""
        return first_sentence(inspect.getdoc(self.value) or "")


def first_sentence(text: str) -> str:
    """Return the first paragraph of a docstring on one line: by convention, one sentence.

    Example:
        >>> first_sentence(first_sentence.__doc__)[:30]
        'Return the first paragraph of '
    """
    return " ".join(text.strip().partition("\n\n")[0].split())


def modules_of(source: Path) -> Iterator[str]:
    """Yield the importable modules of a package's source folder that have an ``__all__``."""
    for file in sorted(source.rglob("*.py")):
        parts = file.relative_to(source.parent).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        is_public = not any(part.startswith("_") for part in parts)
        if is_public and "__all__" in file.read_text():
            yield ".".join(parts)


@cache
def public_modules() -> tuple[str, ...]:
    """Return the modules that list names, in the order of the packages."""
    folders = sorted(PACKAGES.glob("engine-*/src/*/"))
    return tuple(
        module for source in folders if source.name != FORWARDING for module in modules_of(source)
    )


@cache
def public_names() -> tuple[PublicName, ...]:
    """Return every public name; an object in several modules has the shortest of them as home."""
    found = [
        (module, name, getattr(importlib.import_module(module), name))
        for module in public_modules()
        for name in importlib.import_module(module).__all__
    ]
    homes: dict[object, str] = {}
    for module, name, value in sorted(found, key=lambda row: (row[0].count("."), row[0])):
        homes.setdefault(_identity(name, value), f"{module}.{name}")
    return tuple(
        PublicName(module=module, name=name, home=homes[_identity(name, value)], value=value)
        for module, name, value in found
    )


def _identity(name: str, value: object) -> object:
    """Return what is equal for one object under one name; small values are equal by chance."""
    return name, id(value)


@cache
def homes() -> Mapping[str, str]:
    """Return the home of each full name: public, or the private one that Python reports."""
    found: dict[str, str] = {}
    for public in public_names():
        found[public.full] = public.home
        if inspect.isclass(public.value) or inspect.isroutine(public.value):
            module = getattr(public.value, "__module__", "")
            found.setdefault(f"{module}.{public.value.__qualname__}", public.home)
    return MappingProxyType(found)
