"""The base class of schedulers: count steps, set the values of groups, and save the state."""

import inspect
import logging
import math
from collections.abc import Iterable
from typing import Any, ClassVar, Protocol, Self, TypeAlias, runtime_checkable

from torch import Tensor

from engine_optim.schedulers._order import follow_first_step, warn_if_unstepped

logger = logging.getLogger("engine.optim")

#: The default ``end``: more steps than any run takes.
INF = 10**9

#: A hyper-parameter: a number, or a zero-dimensional tensor (of ``capturable`` optimizers).
Value: TypeAlias = "float | Tensor"

# These attributes depend on the optimizer in use, so the state dict leaves them out.
_NOT_STATE = ("optimizer", "_frozen")

# These attributes count, so a resumed run takes them over although `last_step` is an argument.
_COUNTERS = frozenset({"last_step", "_global_step", "base_values", "_last_value"})


@runtime_checkable
class Schedulable(Protocol):
    """The interface that a scheduler needs; torch optimizers and `OptimWrapper` implement it.

    Example:
        >>> from torch import nn, optim
        >>> isinstance(optim.SGD(nn.Linear(1, 1).parameters()), Schedulable)
        True
    """

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The parameter groups; their values are written in place."""

    @property
    def defaults(self) -> dict[str, Any]:
        """The options of the optimizer, by name."""


class _ParamScheduler:
    """Schedule one hyper-parameter of an optimizer; the base class of all schedulers.

    Like a torch scheduler, it takes step 0 when it is built, and one step per call of `step`. It
    changes values only at the steps in ``[begin, end)``, which ``last_step`` counts from 0. It
    computes new values from the current values of the groups. Therefore several schedulers can
    follow each other or overlap.

    A subclass implements `_get_value`.

    Args:
        optimizer: A torch optimizer or an `OptimWrapper`.
        param_name: The key in ``param_groups``, such as ``lr``, ``momentum`` or ``weight_decay``.
            For ``betas``, it is the first value.
        begin: The first step at which the scheduler acts. Fractions are allowed.
        end: The first step at which it stops acting.
        last_step: The index of the last step taken within the interval, to resume without a state
            dict. The groups must then hold ``initial_<param_name>``. -1 starts a new schedule.
        by_epoch: Whether the caller steps it once per epoch; otherwise once per iteration.
        verbose: Log each new value.

    Raises:
        TypeError: ``optimizer`` has no list of parameter groups, or ``begin`` or ``end`` is not
            a number.
        ValueError: The interval is empty.
        KeyError: A group lacks the value, or its initial value when ``last_step`` is given.

    Example:
        >>> from torch import nn, optim
        >>> class HalvedScheduler(_ParamScheduler):
        ...     def _get_value(self):
        ...         return [value / 2 for value in self._current()]
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = HalvedScheduler(optimizer, "lr", begin=1, end=3)
        >>> for _ in range(4):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> optimizer.param_groups[0]["lr"]
        0.25
    """

    # The arguments that count steps, besides `begin` and `end`. They are annotated as float:
    # settings that count epochs may hold fractions of an epoch.
    _step_arguments: ClassVar[tuple[str, ...]] = ()

    # The attributes that the constructor derives from its arguments.
    _derived: ClassVar[tuple[str, ...]] = ("total_iters",)

    def __init__(
        self,
        optimizer: Schedulable,
        param_name: str,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        _check(optimizer, begin, end)
        # A wrapper that tracks base_lr has one more group than its optimizer.
        tracks = getattr(optimizer, "base_param_settings", None) is not None
        self.optimizer: Any = _AllGroups(optimizer) if tracks else optimizer
        follow_first_step(optimizer)
        self.param_name = param_name
        self.begin = begin
        self.end = end
        self.by_epoch = by_epoch
        self.verbose = verbose
        self.base_values = self._initial_values(last_step)
        self._frozen = self._frozen_groups()
        self.last_step = last_step
        # `begin` may be a fraction: the schedule starts at the next integer step.
        self._global_step = -1 if last_step == -1 else math.ceil(begin) + last_step
        self._last_value = self._current()
        self.step()

    def __post_init__(self) -> None:
        """Start a scheduler whose arguments are dataclass fields, which are set already."""
        interval = (self.begin, self.end, self.last_step, self.by_epoch, self.verbose)
        _ParamScheduler.__init__(self, self.optimizer, self.param_name, *interval)

    def _initial_values(self, last_step: int) -> list[Value]:
        initial = f"initial_{self.param_name}"
        for index, group in enumerate(self._groups()):
            if self.param_name not in group:
                choices = ", ".join(key for key in group if key != "params")
                raise KeyError(
                    f"parameter group {index} has no {self.param_name!r} to schedule; it has: "
                    f"{choices}"
                )
            if last_step == -1:
                # torch's schedulers use the same key. The first scheduler sets it, others keep it.
                group.setdefault(initial, _copy(group[self.param_name]))
            elif initial not in group:
                raise KeyError(
                    f"last_step={last_step} resumes a schedule, but parameter group {index} "
                    f"has no {initial!r}; load the optimizer's state dict first, or leave "
                    "last_step at -1"
                )
        return [_copy(group[initial]) for group in self._groups()]

    def _frozen_groups(self) -> list[int]:
        """Return the groups whose learning rate is 0 by a factor such as ``lr_mult=0``."""
        default = getattr(self.optimizer, "defaults", {}).get(self.param_name)
        if self.param_name != "lr" or not default:
            return []
        return [index for index, value in enumerate(self.base_values) if not value]

    def _set_initial(self, values: list[Value]) -> None:
        """Set the initial values of the groups, from which later schedules start."""
        for group, value in zip(self._groups(), values, strict=True):
            group[f"initial_{self.param_name}"] = _copy(value)

    def _groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = self.optimizer.param_groups
        return groups

    def _current(self) -> list[Value]:
        """Return the values that the groups hold now."""
        name = self.param_name
        # Floats, the usual case, are read without a call: this runs at each iteration.
        return [v if type(v := group[name]) is float else _copy(v) for group in self._groups()]

    def _get_value(self) -> list[Value]:
        """Return the new value of each group at ``last_step``."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement _get_value() and return one value per group"
        )

    def _assign(self, values: list[Value]) -> None:
        name = self.param_name
        # A lowest or highest value of the schedule must not wake a group with a rate of 0.
        for index in self._frozen:
            values[index] = 0.0
        for group, value in zip(self._groups(), values, strict=True):
            if type(group[name]) is float:
                group[name] = value
            else:
                _replace(group, name, value)
        self._last_value = values
        if self.verbose:
            for index, value in enumerate(values):
                self.print_value(self.verbose, index, float(value))

    def step(self) -> None:
        """Count a step, and set new values if it lies in ``[begin, end)``."""
        if self._global_step == 0:
            warn_if_unstepped(self.optimizer, self)
        # Count all steps: `begin` and `end` are numbers of these steps.
        self._global_step = step = self._global_step + 1
        if self.begin <= step < self.end:
            self.last_step += 1
            self._assign(self._get_value())

    def repeat_step(self) -> None:
        """Take a step again that the saved run has taken."""
        self.step()

    @classmethod
    def settings_names(cls) -> frozenset[str]:
        """Return the attributes that come from the config: arguments and what they determine.

        A subclass lists those that its constructor derives in ``_derived``.
        """
        # Of each base, as a constructor may pass on `**kwargs`.
        own = (vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base))
        names = {name for init in own for name in inspect.signature(init).parameters}
        return frozenset({*names, *cls._derived}) - _COUNTERS - {"self", "optimizer"}

    def lived_names(self) -> frozenset[str]:
        """Return the attributes that steps have changed, besides the counters."""
        return frozenset(self.state_dict()) - self.settings_names() - _COUNTERS

    def get_last_value(self) -> list[Value]:
        """Return the last computed values, one per parameter group."""
        return self._last_value

    def print_value(self, is_verbose: bool, group: int, value: float) -> None:
        """Log the new value of the group at index ``group`` if ``is_verbose``."""
        if is_verbose:
            logger.info("Adjusting %s of group %d to %.4e.", self.param_name, group, value)

    def state_dict(self) -> dict[str, Any]:
        """Return all attributes except the optimizer, as plain values for a checkpoint."""
        return {key: value for key, value in self.__dict__.items() if key not in _NOT_STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned; the optimizer restores its own values.

        Keys that this scheduler does not have are logged as a warning.
        """
        if foreign := sorted(state_dict.keys() - self.__dict__.keys()):
            logger.warning(
                "The state of a scheduler has %s, which %s lacks; it may be of another scheduler.",
                ", ".join(foreign),
                type(self).__name__,
            )
        self.__dict__.update({k: v for k, v in state_dict.items() if k not in _NOT_STATE})

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args: Any,
        begin: float = 0,
        end: float = INF,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        **kwargs: Any,
    ) -> Self:
        """Convert settings in epochs to iterations, and build a scheduler that steps per iteration.

        Args:
            *args: As for the class.
            begin: The first epoch at which it acts.
            end: The first epoch at which it stops acting.
            by_epoch: Must be true.
            epoch_length: Iterations per epoch.
            **kwargs: As for the class. ``step_size``, ``milestones``, ``periods``, ``T_max`` and
                ``total_steps`` count epochs, and must be given by keyword.

        Raises:
            ValueError: ``by_epoch`` is false or ``epoch_length`` is not a positive integer.
        """
        length = _checked_length(by_epoch, epoch_length)
        for name in cls._step_arguments:
            # A dataclass keeps the default of a field as an attribute of the class.
            if name not in kwargs and not hasattr(cls, name):
                raise TypeError(f"build_iter_from_epoch of {cls.__name__} needs {name}=…")
            # Pass an absent optional argument too: if `args` has it unconverted, Python raises.
            kwargs[name] = _in_iterations(kwargs.get(name), length)
        kwargs |= {"begin": _in_iterations(begin, length), "end": _in_iterations(end, length)}
        return cls(*args, **kwargs | {"by_epoch": False})

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(param_name={self.param_name!r}, begin={self.begin}, "
            f"end={self.end}, by_epoch={self.by_epoch}, last_step={self.last_step})"
        )


class _AllGroups:
    """A wrapper with the groups that schedules change: those of its optimizer and of ``base_lr``.

    Schedules of other libraries read ``self.optimizer.param_groups``.

    Args:
        wrapper: The wrapper.
    """

    def __init__(self, wrapper: Any) -> None:
        self._wrapper = wrapper

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = self._wrapper.scheduled_groups
        return groups

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # a copy has no wrapper while it is made
            raise AttributeError(name)
        return getattr(self._wrapper, name)


def _check(optimizer: Schedulable, begin: float, end: float) -> None:
    if not isinstance(getattr(optimizer, "param_groups", None), list):
        raise TypeError(
            f"optimizer must have a list of parameter groups, got a {type(optimizer).__name__}; "
            "give a torch optimizer or an OptimWrapper (for an OptimWrapperDict, one scheduler "
            "for each of its wrappers)"
        )
    if not isinstance(begin, int | float) or not isinstance(end, int | float):
        raise TypeError(
            f"begin and end must be numbers, got {begin!r} and {end!r}; leave end out for no end"
        )
    if not 0 <= begin < end:
        raise ValueError(f"begin and end must satisfy 0 <= begin < end, got {begin} and {end}")


def _copy(value: Any) -> Any:
    """Return a copy that later writes to the group do not change; of ``betas``, the first value."""
    if isinstance(value, tuple):
        return value[0]
    return value.clone() if isinstance(value, Tensor) else value


def _replace(group: dict[str, Any], name: str, value: Value) -> None:
    current = group[name]
    if isinstance(current, tuple):
        group[name] = (value, *current[1:])
    elif isinstance(current, Tensor):
        # Write in place: a captured CUDA graph or a compiled step reads this tensor object.
        current.copy_(value) if isinstance(value, Tensor) else current.fill_(value)
    else:
        group[name] = value


def count_steps(begin: float, end: float) -> int:
    """Return how many integer steps lie in ``[begin, end)``."""
    return math.ceil(end) - math.ceil(begin)


def _checked_length(by_epoch: bool, epoch_length: int | None) -> int:
    if not by_epoch:
        raise ValueError(
            f"by_epoch must be True to convert epochs to iterations, got {by_epoch}; omit "
            "convert_to_iter_based if the settings count iterations already"
        )
    if not isinstance(epoch_length, int) or epoch_length <= 0:
        raise ValueError(f"epoch_length must be a positive integer, got {epoch_length!r}")
    return epoch_length


def _in_iterations(epochs: Any, epoch_length: int) -> Any:
    """Convert one or several epochs to iterations; ``None`` and ``INF`` are returned unchanged."""
    if epochs is None:
        return None
    if isinstance(epochs, Iterable):
        return [_in_iterations(epoch, epoch_length) for epoch in epochs]
    return INF if epochs >= INF else round(epochs * epoch_length)
