"""Fit the states of optimizers and schedules of another library to those of a run."""

from collections.abc import Mapping
from typing import Any, TypeGuard

from torch import Tensor

from engine_runner._wrappers import wrappers_by_name
from engine_runner.checkpoint._foreign_hub import has_placeholder

# The states that torch's optimizers keep in the shape of the parameter.
_OF_ITS_SHAPE = frozenset({"momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"})


def fit_optimizers(optim_wrapper: Any, saved: Any) -> Any:
    """Return the states of optimizers in the order of the parameters of a run.

    Args:
        optim_wrapper: The wrapper of the run, or several.
        saved: The state in the checkpoint, or one by name; it is not changed.

    Raises:
        ValueError: It is not the state of such an optimizer, or of other parameters.
    """
    wrappers = wrappers_by_name(optim_wrapper)
    if list(wrappers) == [""]:
        return _fit_optimizer("", wrappers[""].optimizer, saved)
    _require_names(wrappers, saved, "optimizers")
    return {
        name: _fit_optimizer(name, one.optimizer, saved[name]) for name, one in wrappers.items()
    }


def _fit_optimizer(name: str, optimizer: Any, saved: Any) -> dict[str, Any]:
    which = f"the optimizer {name}".rstrip()
    parts = saved if isinstance(saved, Mapping) else {}
    groups, state = parts.get("param_groups"), parts.get("state")
    if not _is_list_of_groups(groups) or not isinstance(state, Mapping):
        raise ValueError(f"the state of {which} must have param_groups and state")
    if has_placeholder((groups, state)):
        raise ValueError(f"{which} has values in its state that cannot be read")
    own = optimizer.param_groups
    if len(groups) > len(own):
        # Older versions keep a group for each frozen parameter, which has no state.
        groups = [group for group in groups if any(key in state for key in group["params"])]
    keys = [key for group in groups for key in group["params"]]
    params = [param for group in own for param in group["params"]]
    if len(groups) != len(own) or len(keys) != len(params):
        raise ValueError(
            f"{which} must have the groups that were saved, got {len(own)} with "
            f"{len(params)} parameters for {len(groups)} with {len(keys)}"
        )
    for key, param in zip(keys, params, strict=True):
        _check_shapes(which, state.get(key, {}), param)
    return {**saved, "param_groups": groups}


def _is_list_of_groups(groups: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(groups, list) and all(
        isinstance(group, Mapping) and isinstance(group.get("params"), list) for group in groups
    )


def _check_shapes(which: str, state: Any, param: Tensor) -> None:
    """Raise for the state of another parameter, which torch takes over and then fails."""
    if not isinstance(state, Mapping):
        raise ValueError(f"the state of a parameter must be a dict, got {type(state).__name__}")
    for key, value in state.items():
        if key not in _OF_ITS_SHAPE or value is None:
            continue
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if shape != tuple(param.shape):
            raise ValueError(
                f"{key} of {which} must have the shape {tuple(param.shape)} of its "
                f"parameter, got {shape}: the parameters have another order"
            )


def fit_schedules(own: Any, saved: Any) -> Any:
    """Return the saved states of schedules with the attributes that those of a run have.

    Args:
        own: The states of the schedules of the run: a list, or a list for each optimizer.
        saved: Those in the checkpoint; they are not changed.

    Raises:
        ValueError: There are more or fewer schedules.
    """
    if isinstance(own, Mapping):
        _require_names(own, saved, "schedules")
        return {name: fit_schedules(states, saved[name]) for name, states in own.items()}
    if not isinstance(saved, list) or len(saved) != len(own):
        found = len(saved) if isinstance(saved, list) else f"a {type(saved).__name__}"
        raise ValueError(f"the run has {len(own)} schedules, the checkpoint {found}")
    return [_fit_schedule(*pair) for pair in zip(own, saved, strict=True)]


def _fit_schedule(own: Mapping[str, Any], saved: Any) -> dict[str, Any]:
    if not isinstance(saved, Mapping):
        raise ValueError(f"the state of a schedule must be a dict, got {type(saved).__name__}")
    if "_global_step" not in own:  # of a class of the user's, which takes what it has saved
        return dict(saved)
    if has_placeholder(saved := {name: item for name, item in saved.items() if name in own}):
        raise ValueError("the state of a schedule has values that cannot be read")
    fitted = {**own, **saved}
    # The other library may have one more group, of the base rate, at the end.
    for name in ("base_values", "_last_value"):
        count = len(own.get(name, ()))
        if len(fitted.get(name, ())) == count + 1:
            fitted[name] = list(fitted[name])[:count]
    return fitted


def without_states(own: Any) -> Any:
    """Return states from which schedules take the steps of the run's counters.

    Args:
        own: See `fit_schedules`.
    """
    if isinstance(own, Mapping):
        return {name: without_states(states) for name, states in own.items()}
    return [{} for _ in own]


def _require_names(own: Mapping[str, Any], saved: Any, what: str) -> None:
    if not isinstance(saved, Mapping) or saved.keys() != own.keys():
        found = ", ".join(map(str, saved)) if isinstance(saved, Mapping) else "one optimizer"
        raise ValueError(f"the run has {what} for {', '.join(own)}, the checkpoint for {found}")
