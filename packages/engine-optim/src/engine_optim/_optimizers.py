"""Every optimizer under its name: torch's own, and those of libraries, imported at first use."""

import importlib
from collections.abc import Mapping
from typing import Any

import torch

from engine_registry import OPTIMIZERS

_BITSANDBYTES = (
    *("Adagrad8bit", "Adam8bit", "AdamW8bit", "AdEMAMix8bit", "LAMB8bit", "LARS8bit", "Lion8bit"),
    *("PagedAdam8bit", "PagedAdamW", "PagedAdamW8bit", "PagedLion8bit", "RMSprop8bit", "SGD8bit"),
)
_SCHEDULE_FREE = ("AdamWScheduleFree", "RAdamScheduleFree", "SGDScheduleFree")
_DADAPTATION = ("DAdaptAdaGrad", "DAdaptAdam", "DAdaptAdan", "DAdaptLion", "DAdaptSGD")

# Name of the optimizer -> the module that has it, and the package that brings it.
_LIBRARIES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(_BITSANDBYTES, ("bitsandbytes.optim", "bitsandbytes")),
    **dict.fromkeys(_SCHEDULE_FREE, ("schedulefree", "schedulefree")),
    **dict.fromkeys(_DADAPTATION, ("dadaptation", "dadaptation")),
    "Lion": ("lion_pytorch", "lion-pytorch"),
    "Prodigy": ("prodigyopt", "prodigyopt"),
}


class LibraryOptimizer:
    """Builds an optimizer of a library that is imported when the first one is built.

    Args:
        name: The class.
        module: The module that has it.
        package: What ``pip install`` must be given to bring it.

    Raises:
        ImportError: When called, if the library is not installed.

    Example:
        >>> import torch
        >>> parameters = torch.nn.Linear(1, 1).parameters()
        >>> type(LibraryOptimizer("SGD", "torch.optim", "torch")(parameters, lr=0.1)).__name__
        'SGD'
    """

    def __init__(self, name: str, module: str, package: str) -> None:
        self.__name__ = name
        self.module = module
        self.package = package

    def __call__(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Import the library and build the optimizer."""
        try:
            module = importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"the optimizer {self.__name__} is in {self.package}, which is not installed: "
                f"pip install {self.package}"
            ) from error
        optimizer: torch.optim.Optimizer = getattr(module, self.__name__)(*args, **kwargs)
        return optimizer

    def __repr__(self) -> str:
        return f"<{self.module}.{self.__name__}, imported at first use>"


def _register() -> list[str]:
    """Register the optimizers of torch; return their names."""
    names = []
    for name, item in vars(torch.optim).items():
        is_class = isinstance(item, type) and issubclass(item, torch.optim.Optimizer)
        if is_class and item is not torch.optim.Optimizer and not name.startswith("_"):
            OPTIMIZERS.register_module(name=name, module=item)
            names.append(name)
    return names


#: The names of torch's optimizers, all of which are registered.
TORCH_OPTIMIZERS: list[str] = _register()


def build_optimizer(cfg: Mapping[str, Any], **defaults: Any) -> torch.optim.Optimizer:
    """Build an optimizer from its config.

    Args:
        cfg: ``type`` is a registered name, the name of an optimizer of a library known here (what
            is registered under the same name goes first), a dotted path or a class; the other
            keys are its arguments.
        **defaults: Arguments that ``cfg`` may override, such as ``params``.

    Raises:
        ImportError: If the optimizer's library is not installed.
    """
    # By key, not by copying: a lazy config resolves a value when it is read.
    arguments = {**defaults, **{key: cfg[key] for key in cfg}}
    kind = arguments.get("type")
    if kind in _LIBRARIES and OPTIMIZERS.get(kind) is None:
        arguments["type"] = LibraryOptimizer(kind, *_LIBRARIES[kind])
    optimizer: torch.optim.Optimizer = OPTIMIZERS.build(arguments)
    return optimizer
