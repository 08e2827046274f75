"""The two thin faces of a schedule: the learning rate, and the momentum."""

import inspect
from typing import Any

from engine_optim.schedulers._base import Schedulable, _ParamScheduler


def _show_signature(face: type[_ParamScheduler]) -> None:
    """Tell `inspect.signature` what a face takes: the arguments of its schedule, less the name.

    ``help``, an editor and the check of a config then know them. A subclass that has a constructor
    of its own shows that one.
    """
    owner = next(base for base in face.__mro__ if "__init__" in vars(base) and base not in _FACES)
    constructor = owner.__init__  # type: ignore[misc]  # only its signature is read
    shown = [
        parameter
        for name, parameter in inspect.signature(constructor).parameters.items()
        if name not in ("self", "param_name")
    ]
    face.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]  # read by inspect


class LearningRateFace(_ParamScheduler):
    """Mix-in that binds a schedule to ``lr``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _show_signature(cls)

    def __init__(self, optimizer: Schedulable, *args: Any, **kwargs: Any) -> None:
        super().__init__(optimizer, "lr", *args, **kwargs)


class MomentumFace(_ParamScheduler):
    """Mix-in that binds a schedule to ``momentum``, or, as in Adam, to the first of ``betas``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _show_signature(cls)

    def __init__(self, optimizer: Schedulable, *args: Any, **kwargs: Any) -> None:
        defaults = getattr(optimizer, "defaults", {})
        name = next((key for key in ("momentum", "betas") if key in defaults), None)
        if name is None:
            raise ValueError(
                f"{type(optimizer).__name__} has neither 'momentum' nor 'betas' to schedule; it "
                f"has: {', '.join(defaults)}"
            )
        super().__init__(optimizer, name, *args, **kwargs)


_FACES = (LearningRateFace, MomentumFace)
