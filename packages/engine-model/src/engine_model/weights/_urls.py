"""Look up the addresses of published weights by name."""

import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any

ENTRY_POINTS = "engine.model_urls"
"""The group of entry points with which installed libraries provide tables of addresses.

The name of an entry point is the kind of table: ``open-mmlab``, ``mmcls`` or ``deprecated``. Its
value is a mapping from names to addresses.
"""


def _provided(kind: str) -> dict[str, str]:
    urls: dict[str, str] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS, name=kind):
        table: Mapping[str, str] = entry.load()
        urls.update(table)
    return urls


def get_external_models() -> dict[str, str]:
    """Return the addresses of the names that ``open-mmlab://`` accepts."""
    return _provided("open-mmlab")


def get_mmcls_models() -> dict[str, str]:
    """Return the addresses of the names that ``mmcls://`` accepts."""
    return _provided("mmcls")


def get_deprecated_model_names() -> dict[str, str]:
    """Return the new names of the ``open-mmlab://`` names that have changed."""
    return _provided("deprecated")


def get_torchvision_models() -> dict[str, str]:
    """Return the addresses of the names that ``torchvision://`` accepts.

    The names are those of models, and ``<model>.<weights>`` for each set of weights. The table is
    empty if torchvision is not installed.
    """
    try:
        # import_extra would raise an error, but without the library the table is just empty.
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
