"""Declare a schedule as a dataclass, and bind it to the learning rate or the momentum."""

import inspect
from dataclasses import InitVar, dataclass, field
from typing import Any, TypeVar, dataclass_transform

from engine_optim.schedulers._base import Schedulable, _ParamScheduler
from engine_registry import PARAM_SCHEDULERS

_Class = TypeVar("_Class", bound=_ParamScheduler)


@dataclass_transform(eq_default=False, field_specifiers=(field,))
def schedule(cls: type[_Class]) -> type[_Class]:
    """Register a scheduler, and build its constructor from its fields, in their order.

    For a class that binds a schedule to one hyper-parameter, `help` also shows the docstring of the
    schedule.

    Args:
        cls: A class with fields, `__post_init__` for checks, and `_get_value` for the arithmetic.
    """
    # eq=False: a scheduler has state, so two of them are never equal. repr=False keeps the repr of
    # `_ParamScheduler`.
    made = dataclass(eq=False, repr=False)(cls)
    # Replace `InitVar[T]` by `T`: `help` and the check of a config read these annotations.
    hints: dict[str, Any] = vars(made)["__init__"].__annotations__
    hints.update({name: hint.type for name, hint in hints.items() if isinstance(hint, InitVar)})
    if len(cls.__bases__) == 2:
        made.__doc__ = f"{inspect.getdoc(cls)}\n\n{inspect.getdoc(cls.__bases__[1])}"
    return PARAM_SCHEDULERS.register_module(module=made)


@dataclass(init=False, eq=False, repr=False)
class LRSchedulerMixin(_ParamScheduler):
    """Bind a schedule to ``lr``; list this class before the schedule in the bases.

    Example:
        >>> import torch
        >>> from engine_optim import StepParamScheduler
        >>> class HalvedLR(LRSchedulerMixin, StepParamScheduler):
        ...     def __init__(self, optimizer, **kwargs):
        ...         super().__init__(optimizer, step_size=1, gamma=0.5, **kwargs)
        >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=1.0)
        >>> schedule = HalvedLR(optimizer)
        >>> optimizer.step()
        >>> schedule.step()
        >>> schedule.get_last_value()
        [0.5]
    """

    # init=False removes the parameter from the constructor, and keeps the order of the others.
    param_name: str = field(init=False)

    # Used by a schedule with its own constructor, which is not declared with `schedule`.
    def __init__(self, optimizer: Schedulable, *args: Any, **kwargs: Any) -> None:
        super().__init__(optimizer, "lr", *args, **kwargs)

    def __post_init__(self, *init_only: Any) -> None:
        self.param_name = "lr"
        super().__post_init__(*init_only)


@dataclass(init=False, eq=False, repr=False)
class MomentumSchedulerMixin(_ParamScheduler):
    """Bind a schedule to ``momentum`` or, as in Adam, to the first of ``betas``.

    Example:
        >>> import torch
        >>> from engine_optim import StepParamScheduler
        >>> class HalvedMomentum(MomentumSchedulerMixin, StepParamScheduler):
        ...     def __init__(self, optimizer, **kwargs):
        ...         super().__init__(optimizer, step_size=1, gamma=0.5, **kwargs)
        >>> HalvedMomentum(torch.optim.Adam(torch.nn.Linear(1, 1).parameters())).param_name
        'betas'
    """

    param_name: str = field(init=False)

    def __init__(self, optimizer: Schedulable, *args: Any, **kwargs: Any) -> None:
        super().__init__(optimizer, _momentum_key(optimizer), *args, **kwargs)

    def __post_init__(self, *init_only: Any) -> None:
        self.param_name = _momentum_key(self.optimizer)
        super().__post_init__(*init_only)


def _momentum_key(optimizer: Schedulable) -> str:
    defaults = getattr(optimizer, "defaults", {})
    for key in ("momentum", "betas"):
        if key in defaults:
            return key
    raise ValueError(
        f"{type(optimizer).__name__} has neither 'momentum' nor 'betas' to schedule; it has: "
        f"{', '.join(defaults)}"
    )
