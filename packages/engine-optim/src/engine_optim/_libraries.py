"""Build optimizers of other libraries by name, and import a library when one is built.

The entry points of this package list each optimizer. A lookup by name imports this module; building
the optimizer imports its library.
"""

from typing import Any

import torch

from engine_utils import did_you_mean, import_extra

_BITSANDBYTES = (
    *("Adagrad8bit", "Adam8bit", "AdamW8bit", "AdEMAMix8bit", "LAMB8bit", "LARS8bit", "Lion8bit"),
    *("PagedAdam8bit", "PagedAdamW", "PagedAdamW8bit", "PagedLion8bit", "RMSprop8bit", "SGD8bit"),
)
_SCHEDULE_FREE = ("AdamWScheduleFree", "RAdamScheduleFree", "SGDScheduleFree")
_DADAPTATION = ("DAdaptAdaGrad", "DAdaptAdam", "DAdaptAdan", "DAdaptLion", "DAdaptSGD")

#: The name of an optimizer -> the module that has it, and the package to install.
LIBRARIES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(_BITSANDBYTES, ("bitsandbytes.optim", "bitsandbytes")),
    **dict.fromkeys(_SCHEDULE_FREE, ("schedulefree", "schedulefree")),
    **dict.fromkeys(_DADAPTATION, ("dadaptation", "dadaptation")),
    "Lion": ("lion_pytorch", "lion-pytorch"),
    "Prodigy": ("prodigyopt", "prodigyopt"),
}


class LibraryOptimizer:
    """Import a library and build one of its optimizers.

    Args:
        name: The class.
        module: The module that has it.
        package: The requirement that installs it.

    Raises:
        ImportError: The library is not installed; raised by the call that builds the optimizer.

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
        purpose = f"the optimizer {self.__name__}"
        module = import_extra(self.module, install=self.package, purpose=purpose)
        optimizer: torch.optim.Optimizer = getattr(module, self.__name__)(*args, **kwargs)
        return optimizer

    def __repr__(self) -> str:
        return f"<{self.module}.{self.__name__}, imported at first use>"


def __getattr__(name: str) -> LibraryOptimizer:
    if name not in LIBRARIES:
        hint = did_you_mean(name, LIBRARIES) or f"; there are: {', '.join(LIBRARIES)}"
        raise AttributeError(f"there is no optimizer {name!r} in {__name__}{hint}")
    return LibraryOptimizer(name, *LIBRARIES[name])
