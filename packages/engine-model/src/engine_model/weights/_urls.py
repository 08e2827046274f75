"""Names of published models and where their weights are, as installed libraries provide them."""

import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any

#: A library provides a table as an entry point of this group: its name is the kind
#: (``open-mmlab``, ``mmcls`` or ``deprecated``), its value a mapping from names to addresses.
ENTRY_POINTS = "engine.model_urls"


def _provided(kind: str) -> dict[str, str]:
    urls: dict[str, str] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS, name=kind):
        table: Mapping[str, str] = entry.load()
        urls.update(table)
    return urls


def get_external_models() -> dict[str, str]:
    """Return the names behind ``open-mmlab://``, and their addresses."""
    return _provided("open-mmlab")


def get_mmcls_models() -> dict[str, str]:
    """Return the names behind ``mmcls://``, and their addresses."""
    return _provided("mmcls")


def get_deprecated_model_names() -> dict[str, str]:
    """Return names behind ``open-mmlab://`` that have changed, and the new ones."""
    return _provided("deprecated")


def get_torchvision_models() -> dict[str, str]:
    """Return the names behind ``torchvision://``: of models, and ``<model>.<weights>`` of each set.

    Empty if torchvision is not installed.
    """
    try:
        models: Any = importlib.import_module("torchvision.models")
    except ModuleNotFoundError:
        return {}
    urls: dict[str, str] = {}
    for name in models.list_models():
        weights = models.get_model_weights(name)
        for member in weights:
            urls[f"{name}.{member.name.lower()}"] = member.url
        if len(weights):
            urls[name] = weights.DEFAULT.url
    return urls
