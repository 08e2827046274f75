"""Read the index of a package's models: ``model-index.yml`` and the metafiles that it imports."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine_fileio import load
from engine_runner.hub._packages import INDEX, HubError, roots
from engine_utils import did_you_mean


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A model that a metafile lists.

    Attributes:
        name: Its name.
        config: The path of its config.
        weights: The address or path of its weights, or None if none are published.
        aliases: Its other names.

    Example:
        >>> entry = ModelEntry(name="resnet18_cifar", config=Path("r18.py"), aliases=("r18",))
        >>> entry.matches("r1.*"), entry.matches("vgg")
        (True, False)
    """

    name: str
    config: Path
    weights: str | None = None
    aliases: tuple[str, ...] = ()

    def matches(self, pattern: str) -> bool:
        """Return whether a regular expression matches the start of the name or of an alias."""
        return any(re.match(pattern, name) for name in (self.name, *self.aliases))


def models_of(package: str) -> list[ModelEntry]:
    """Return the models that the metafiles of an installed package list.

    Args:
        package: The import name, or the name on PyPI.

    Raises:
        HubError: The package is not installed, has no index, or the index has another layout.
    """
    folders = roots(package)
    root = next((folder for folder in folders if (folder / INDEX).is_file()), None)
    if root is None:
        tried = ", ".join(map(str, folders))
        raise HubError(f"the package {package!r} has no {INDEX}, which lists models; tried {tried}")
    return list(models_in(root))


def models_in(root: Path) -> Iterator[ModelEntry]:
    """Yield the models of the index in a folder.

    The index has the key ``Import``, a list of metafiles. A metafile is a list of models, or has
    the key ``Models``. A model has ``Name``, ``Config``, and optionally ``Weights`` and ``Alias``.
    Paths are relative to the folder of the index.

    Args:
        root: The folder with ``model-index.yml``.

    Raises:
        HubError: A file is missing, or has another layout.
    """
    index = _read(root / INDEX)
    imports = index.get("Import") if isinstance(index, Mapping) else None
    if not isinstance(imports, list):
        raise HubError(f"{root / INDEX} must have the key Import, a list of metafiles")
    for name in imports:
        file = root / str(name)
        content = _read(file)
        models = content.get("Models") if isinstance(content, Mapping) else content
        for number, model in enumerate(models or ()):
            yield _entry(model, root, f"{file}: Models[{number}]")


def _read(file: Path) -> Any:
    if not file.is_file():
        listed = "is listed as a metafile, but " if file.name != INDEX else ""
        raise HubError(f"{file} {listed}does not exist")
    return load(file, file_format="yaml")


def _entry(model: Any, root: Path, place: str) -> ModelEntry:
    if not isinstance(model, Mapping) or not isinstance(model.get("Name"), str):
        raise HubError(f"{place} must be a mapping with a Name, got {model!r:.200}")
    config = model.get("Config")
    if not isinstance(config, str):
        raise HubError(f"{place} ({model['Name']}) must have a Config, a path, got {config!r}")
    aliases = model.get("Alias") or ()
    return ModelEntry(
        name=model["Name"],
        config=Path(os.path.normpath(root / config)),
        weights=_weights(model.get("Weights"), root),
        aliases=(aliases,) if isinstance(aliases, str) else tuple(map(str, aliases)),
    )


def _weights(weights: Any, root: Path) -> str | None:
    if not weights:
        return None
    text = str(weights)
    return text if "://" in text else os.path.normpath(root / text)  # shipped with the package


def find_model(package: str, name: str) -> ModelEntry:
    """Return the model of a name or an alias.

    Args:
        package: The import name, or the name on PyPI.
        name: The name or alias.

    Raises:
        HubError: The package lists no such model; the message has the closest name.
    """
    models = models_of(package)
    for model in models:
        if name in (model.name, *model.aliases):
            return model
    names = [name for model in models for name in (model.name, *model.aliases)]
    hint = did_you_mean(name, names)
    raise HubError(f"the package {package!r} lists no model {name!r} among {len(models)}{hint}")
