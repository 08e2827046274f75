"""The optional libraries, each imported at its first use."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

Library = Literal["matplotlib", "tensorboard", "wandb"]


@dataclass(frozen=True, kw_only=True)
class _Extra:
    module: str
    extra: str


_EXTRAS: dict[Library, _Extra] = {
    "matplotlib": _Extra(module="matplotlib", extra="plots"),
    "tensorboard": _Extra(module="torch.utils.tensorboard", extra="tensorboard"),
    "wandb": _Extra(module="wandb", extra="wandb"),
}


def load_library(name: Library) -> Any:
    """Import an optional library and return the module that serves it.

    Raises:
        ImportError: The library is not installed; the message holds the line that installs it.
    """
    wanted = _EXTRAS[name]
    try:
        return import_module(wanted.module)
    except ImportError as error:
        raise ImportError(
            f"this needs {name}, which cannot be imported ({error}); "
            f'run: pip install "engine-visualization[{wanted.extra}]"'
        ) from error
