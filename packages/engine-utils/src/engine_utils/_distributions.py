"""Find the distribution on PyPI that brings a module, and the module of a distribution."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_MODULES: Final = (
    *("mmagic", "mmcls", "mmdet", "mmdet3d", "mmedit", "mmfewshot", "mmflow", "mmgen"),
    *("mmhuman3d", "mmocr", "mmpose", "mmpretrain", "mmrazor", "mmrotate", "mmselfsup"),
    *("mmtrack", "mmyolo"),
)
MODULE2PACKAGE: Final[Mapping[str, str]] = MappingProxyType(
    {**{name: name for name in _MODULES}, "mmaction": "mmaction2", "mmseg": "mmsegmentation"}
)
"""The names on PyPI of the libraries that configs name by ``scope.Name`` or ``package::path``."""


def distribution_of(module: str) -> str | None:
    """Return the name on PyPI of the package that brings a module, or None if it is not known.

    Args:
        module: The name of a module; only its first part counts.

    Example:
        >>> distribution_of("mmseg.models"), distribution_of("my_library")
        ('mmsegmentation', None)
    """
    package = module.partition(".")[0]
    return "engine-compat" if package == "mmengine" else MODULE2PACKAGE.get(package)


def package2module(package: str) -> str:
    """Return the name under which an installed distribution is imported.

    Args:
        package: The name on PyPI.

    Raises:
        ValueError: It is not installed.

    Example:
        >>> package2module("pip")
        'pip'
    """
    from engine_utils._packages import import_names  # as slow to import as `importlib.metadata`

    found = import_names(package)
    if not found:
        raise ValueError(f"package must be the name of an installed package, got {package!r}")
    return found[0]
