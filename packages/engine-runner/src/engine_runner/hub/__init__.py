"""Get configs and models that installed packages ship."""

from engine_runner.hub._functions import get_config, get_model
from engine_runner.hub._index import ModelEntry, find_model, models_of
from engine_runner.hub._packages import HubError, import_parts

__all__ = [
    "HubError",
    "ModelEntry",
    "find_model",
    "get_config",
    "get_model",
    "import_parts",
    "models_of",
]
