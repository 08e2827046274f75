"""Find the files that an installed package ships, and import its parts."""

import importlib
import importlib.util
import json
from importlib import metadata
from pathlib import Path
from typing import Any

from engine_utils import get_installed_path

INDEX = "model-index.yml"
_OWN = ("engine", "mmengine")  # their parts are imported at the first look-up
_CONFIG_ENDINGS = (".py", ".json", ".yaml", ".yml")


class HubError(LookupError):
    """A package is not installed, or does not ship what is asked of it."""

    __str__ = Exception.__str__  # the message, where a LookupError may show its repr


def roots(package: str) -> list[Path]:
    """Return the folders in which a package ships configs and the index of its models.

    They are ``.mim`` in the package, the package itself, and for an editable install without
    ``.mim`` the root of its source tree.

    Args:
        package: The import name, or the name on PyPI.

    Raises:
        HubError: The package is not installed.
    """
    try:
        folder = Path(get_installed_path(package))
    except metadata.PackageNotFoundError:
        raise HubError(
            f"the package {package!r} is not installed; install it, or correct the name"
        ) from None
    shipped = folder / ".mim"
    if shipped.is_dir():
        return [shipped, folder]
    source = _source_root(package, folder)
    return [folder] if source is None else [folder, source]


def _source_root(package: str, folder: Path) -> Path | None:
    """Return the root of the source tree of an editable install: the folder with the index."""
    if not _is_editable(package):
        return None
    parents = list(folder.parents)[:2]  # beside the package, or above ``src``
    return next((parent for parent in parents if (parent / INDEX).is_file()), None)


def _is_editable(package: str) -> bool:
    names = {package, *metadata.packages_distributions().get(package, ())}
    for name in names:
        try:
            text = metadata.distribution(name).read_text("direct_url.json")
        except metadata.PackageNotFoundError:
            continue
        if text and json.loads(text).get("dir_info", {}).get("editable"):
            return True
    return False


def config_folders(package: str) -> list[Path]:
    """Return the folders that the path of a config in a package may be relative to."""
    return [folder for root in roots(package) for folder in (root / "configs", root)]


def configs_of(package: str) -> list[str]:
    """Return the configs that a package ships, relative to its folder of configs, without ``.py``.

    Files whose names, or those of their folders, begin with ``_`` or ``.`` are left out: they are
    bases and modules.
    """
    found: dict[str, None] = {}
    for root in roots(package):
        folder = root / "configs"
        for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
            path = file.relative_to(folder)
            hidden = any(part.startswith(("_", ".")) for part in path.parts)
            if file.suffix in _CONFIG_ENDINGS and not hidden and not _is_metafile(file):
                found[path.as_posix().removesuffix(".py")] = None
    return list(found)


def _is_metafile(file: Path) -> bool:
    return file.suffix in (".yml", ".yaml") and file.stem in ("metafile", "model-index")


def import_parts(scope: str) -> None:
    """Register the parts of the package that a scope is named after.

    Packages of the field have a function ``register_all_modules`` in ``<package>.utils``, which is
    called without changing the default scope. Other packages are imported. A scope that is not the
    name of a package, such as one of a registry in a script, needs no import.

    Args:
        scope: The name of a scope.
    """
    if scope in _OWN or _spec(scope) is None:
        return
    importlib.import_module(scope)
    module = f"{scope}.utils"
    if _spec(module) is not None:
        register: Any = getattr(importlib.import_module(module), "register_all_modules", None)
        if callable(register):
            register(False)  # the field's name of the parameter: init_default_scope


def _spec(name: str) -> object | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def folders_with_index(file: Path, package: str | None) -> list[Path]:
    """Return the folders with an index of models: those of a package, or those above a file."""
    folders = roots(package) if package else file.absolute().parents
    return [folder for folder in folders if (folder / INDEX).is_file()]
