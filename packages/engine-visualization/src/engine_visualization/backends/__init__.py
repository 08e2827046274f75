"""Record the numbers, images and config of a run in tracking backends."""

from typing import TYPE_CHECKING, Any

from engine_visualization.backends._base import (
    BaseVisBackend,
    ConfigLike,
    force_init_env,
    without_secrets,
)
from engine_visualization.backends._registry import build_backend, check_installed
from engine_visualization.backends._registry import class_named as _class_named
from engine_visualization.backends._registry import class_names as _class_names

if TYPE_CHECKING:
    from engine_visualization.backends._table import *  # noqa: F403  # static names of the rows

__all__ = ["BaseVisBackend", "ConfigLike", "build_backend", "check_installed"]
__all__ += ["force_init_env", "without_secrets"]
__all__ += _class_names()
__all__.sort()


def __getattr__(name: str) -> Any:
    return _class_named(name, __name__)
