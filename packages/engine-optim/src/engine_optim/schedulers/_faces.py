"""The two thin faces of a schedule: the learning rate, and the momentum."""

from typing import Any

from engine_optim.schedulers._base import Schedulable, _ParamScheduler


class LearningRateFace(_ParamScheduler):
    """Mix-in that binds a schedule to ``lr``."""

    def __init__(self, optimizer: Schedulable, *args: Any, **kwargs: Any) -> None:
        super().__init__(optimizer, "lr", *args, **kwargs)


class MomentumFace(_ParamScheduler):
    """Mix-in that binds a schedule to ``momentum``, or, as in Adam, to the first of ``betas``."""

    def __init__(self, optimizer: Schedulable, *args: Any, **kwargs: Any) -> None:
        defaults = getattr(optimizer, "defaults", {})
        name = next((key for key in ("momentum", "betas") if key in defaults), None)
        if name is None:
            raise ValueError(
                f"{type(optimizer).__name__} has neither 'momentum' nor 'betas' to schedule; it "
                f"has: {', '.join(defaults)}"
            )
        super().__init__(optimizer, name, *args, **kwargs)
